//! `vectors` and `search`: what goes in is found, counted, compacted and dropped.

use serde_json::{Value, json};

use crate::support::{Place, fields, floats, npy};

/// Four vectors of two numbers under ids 10, 20, 30, 40, in a set `words` by cosine.
fn place() -> Place {
    let place = Place::new();
    place.write("data.npy", npy("<f4", "(4, 2)", &floats(&[1.0, 0.0, 0.0, 1.0, 0.6, 0.8, -1.0, 0.0])));
    let ids: Vec<u8> = [10_i64, 20, 30, 40].iter().flat_map(|id| id.to_le_bytes()).collect();
    place.write("ids.npy", npy("<i8", "(4,)", &ids));
    place.write("query.npy", npy("<f4", "(2,)", &floats(&[0.0, 2.0])));
    let added =
        place.run(["vectors", "add", "store", "words", "--data", "data.npy", "--ids", "ids.npy", "--create", "--json"]);
    let added = added.json();
    assert_eq!(fields(&added), ["added", "lsn", "set"]);
    assert_eq!((&added["added"], &added["set"]["metric"]), (&json!(4), &json!("cosine")));
    place
}

fn ids(found: &Value) -> Vec<i64> {
    found[0].as_array().unwrap().iter().map(|near| near["id"].as_i64().unwrap()).collect()
}

// A wrong neighbour on the command line is believed: nobody computes it by hand.
#[test]
fn search_finds_the_nearest_by_the_metric_of_the_set_or_another() {
    let place = place();
    let search = |more: &[&str]| {
        let arguments = ["search", "store", "words", "--query", "query.npy", "--json"];
        place.run(arguments.iter().chain(more)).json()
    };
    let found = search(&["-k", "3"]);
    assert_eq!(ids(&found), [20, 30, 10]);
    assert_eq!(fields(&found[0][0]), ["id", "distance"]);
    assert_eq!((&found[0][0]["distance"], &found[0][2]["distance"]), (&json!(0.0), &json!(1.0)));
    assert_eq!(ids(&search(&["-k", "1", "--metric", "sqeuclidean"])), [20]);
    assert_eq!(search(&["-k", "1", "--metric", "dot"])[0][0]["distance"], json!(-2.0));
    assert_eq!(ids(&search(&["--distance-max", "0.5"])), [20, 30]);
    let table = place.run(["search", "store", "words", "--query", "query.npy", "-k", "2"]).ok();
    assert!(table.contains("RANK") && table.contains("30"), "{table}");
    place.run(["put", "store", "matrix", "data.npy"]).ok();
    let rows = place.run(["search", "store", "--tensor", "matrix", "--query", "query.npy", "-k", "2", "--json"]);
    assert_eq!(ids(&rows.json()), [1, 2], "a tensor's ids are its rows");
    assert!(place.run(["search", "store", "none", "--query", "query.npy"]).fails(1).contains("no such vector set"));
    assert!(place.run(["search", "store", "words", "--query", "ids.npy"]).fails(1).contains("i64"));
}

#[test]
fn what_was_replaced_is_counted_as_deleted_until_it_is_compacted_away() {
    let place = place();
    place.run(["vectors", "add", "store", "words", "--data", "data.npy", "--ids", "ids.npy", "--replace"]).ok();
    let info = || place.run(["vectors", "info", "store", "words", "--json"]).json();
    let numbers = |info: &Value| ["vectors", "parts", "deleted_rows"].map(|name| info[name].as_u64().unwrap());
    assert_eq!(numbers(&info()), [4, 2, 4]);
    let compacted = place.run(["vectors", "compact", "store", "words", "--companions", "--json"]).json();
    assert_eq!(fields(&compacted), ["parts_replaced", "companions_built", "set"]);
    assert_eq!((&compacted["parts_replaced"], &compacted["companions_built"]), (&json!(2), &json!(1)));
    assert_eq!((&compacted["set"], numbers(&info())), (&info(), [4, 1, 0]));
    assert!(place.run(["vectors", "compact", "store", "words"]).ok().contains("0 parts replaced"));
    let found = place.run(["search", "store", "words", "--query", "query.npy", "-k", "3", "--json"]).json();
    assert_eq!(ids(&found), [20, 30, 10]);
    assert!(place.run(["vectors", "info", "store"]).ok().contains("words"));
}

#[test]
fn a_dropped_set_is_gone_and_its_name_is_free() {
    let place = place();
    let dropped = place.run(["vectors", "drop", "store", "words", "--json"]).json();
    assert_eq!((&dropped["dropped"], &dropped["vectors"]), (&json!(true), &json!(4)));
    for command in [&["vectors", "info"][..], &["vectors", "drop"], &["vectors", "compact"]] {
        let message = place.run(command.iter().chain(&["store", "words"])).fails(1);
        assert!(message.contains("no such vector set"), "{message}");
    }
    assert_eq!(place.run(["vectors", "ls", "store", "--json"]).json(), json!([]));
    place.run(["vectors", "add", "store", "words", "--data", "data.npy", "--create", "--metric", "dot"]).ok();
    assert!(place.run(["vectors", "drop", "store", "words"]).ok().contains("dropped words of 4 vectors"));
    place.run(["verify", "store"]).ok();
}
