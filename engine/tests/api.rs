use tensoratom::*;
#[test]
fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let p = dir.path().join("s");
    let store = Store::create(&p, &Options::new()).unwrap();
    let a: Vec<f32> = (0..100_000).map(|x| x as f32).collect();
    let lsn = store.put("a/b", &Tensor::from_slice(&[1000, 100], &a).unwrap()).unwrap();
    println!("lsn {lsn}");
    let v = store.get("a/b").unwrap().view::<f32>().unwrap();
    assert_eq!(&v[..], &a[..]);
    assert!(v.bytes().is_mapped());
    let r = store.get("a/b").unwrap().view_rows::<f32>(10..20).unwrap();
    assert_eq!(&r[..], &a[1000..2000]);
    for i in 0..50i64 {
        store.put(i, &Tensor::from_slice(&[1], &[i]).unwrap()).unwrap();
    }
    println!("{:#?}", store.stat().unwrap());
    let rep = store.verify(&VerifyOptions::new(), &Control::new()).unwrap();
    println!("{rep:?}");
    assert!(rep.is_sound());
    drop(store);
    let store = Store::open(&p, &Options::new()).unwrap();
    assert_eq!(&store.get("a/b").unwrap().view::<f32>().unwrap()[..], &a[..]);
    let st = store.stat().unwrap();
    assert_eq!(st.accounted.total(), st.disk_bytes);
    println!("{:?}", st);
    drop(v);
    drop(r);
    drop(store);
    let rep = repair(&p, &RepairOptions::new().rebuild_catalog(true), &Control::new()).unwrap();
    println!("{rep:?}");
    let store = Store::open(&p, &Options::new()).unwrap();
    assert_eq!(store.stat().unwrap().atoms, 51);
    assert!(store.verify(&VerifyOptions::new(), &Control::new()).unwrap().is_sound());
}
