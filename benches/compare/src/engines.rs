//! The engine and its rivals behind one small interface: named byte strings in, the same bytes out.

use std::path::Path;
use std::sync::Mutex;

use heed::types::{Bytes, Str};
use heed::{Database, Env, EnvOpenOptions};
use redb::{ReadableDatabase, TableDefinition};
use rusqlite::Connection;
use tensoratom::{DType, Options, Store, Tensor};

const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("t");

/// Something that stores bytes under names.
pub trait Engine: Send + Sync {
    fn name(&self) -> &'static str;
    /// Stores all items in one durable transaction.
    fn put_all(&self, items: &mut dyn Iterator<Item = (String, &[u8])>);
    /// Hands the bytes of a name to `look`, by the fastest safe way the engine has. Begins and ends what has to be
    /// begun and ended for one read.
    fn get(&self, name: &str, look: &mut dyn FnMut(&[u8]));
}

/// Every engine, empty, in directories of its own.
pub fn all(directory: &Path, map_bytes: usize) -> Vec<Box<dyn Engine>> {
    let sub = |name: &str| {
        let path = directory.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    vec![
        Box::new(Ours::create(&sub("tensoratom"))),
        Box::new(Lmdb::create(&sub("lmdb"), map_bytes)),
        Box::new(Redb::create(&sub("redb"))),
        Box::new(Sqlite::create(&sub("sqlite"))),
    ]
}

pub struct Ours(pub Store);

impl Ours {
    pub fn create(path: &Path) -> Self {
        Ours(Store::open_or_create(path, &Options::new()).unwrap())
    }
}

impl Engine for Ours {
    fn name(&self) -> &'static str {
        "tensoratom (verified)"
    }

    fn put_all(&self, items: &mut dyn Iterator<Item = (String, &[u8])>) {
        let mut txn = self.0.begin().unwrap();
        for (name, bytes) in items {
            txn.put(&name, &Tensor::new(DType::U8, &[bytes.len() as u64], bytes).unwrap()).unwrap();
        }
        txn.commit().unwrap();
    }

    fn get(&self, name: &str, look: &mut dyn FnMut(&[u8])) {
        look(&self.0.get(name).unwrap().bytes().unwrap());
    }
}

pub struct Lmdb {
    env: Env,
    db: Database<Str, Bytes>,
}

impl Lmdb {
    pub fn create(path: &Path, map_bytes: usize) -> Self {
        let mut options = EnvOpenOptions::new();
        options.map_size(map_bytes).max_readers(512);
        // SAFETY: the directory is ours alone, on a local disk, and opened once in this process.
        let env = unsafe { options.open(path).unwrap() };
        let mut txn = env.write_txn().unwrap();
        let db = env.create_database(&mut txn, None).unwrap();
        txn.commit().unwrap();
        Lmdb { env, db }
    }
}

impl Engine for Lmdb {
    fn name(&self) -> &'static str {
        "LMDB (unverified)"
    }

    fn put_all(&self, items: &mut dyn Iterator<Item = (String, &[u8])>) {
        let mut txn = self.env.write_txn().unwrap();
        for (name, bytes) in items {
            self.db.put(&mut txn, &name, bytes).unwrap();
        }
        txn.commit().unwrap();
    }

    fn get(&self, name: &str, look: &mut dyn FnMut(&[u8])) {
        let txn = self.env.read_txn().unwrap();
        look(self.db.get(&txn, name).unwrap().unwrap());
    }
}

pub struct Redb(redb::Database);

impl Redb {
    pub fn create(path: &Path) -> Self {
        let database = redb::Database::create(path.join("db.redb")).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(TABLE).unwrap();
        txn.commit().unwrap();
        Redb(database)
    }
}

impl Engine for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn put_all(&self, items: &mut dyn Iterator<Item = (String, &[u8])>) {
        let txn = self.0.begin_write().unwrap();
        {
            let mut table = txn.open_table(TABLE).unwrap();
            for (name, bytes) in items {
                table.insert(name.as_str(), bytes).unwrap();
            }
        }
        txn.commit().unwrap();
    }

    fn get(&self, name: &str, look: &mut dyn FnMut(&[u8])) {
        let txn = self.0.begin_read().unwrap();
        let table = txn.open_table(TABLE).unwrap();
        look(table.get(name).unwrap().unwrap().value());
    }
}

/// One connection per thread that asks, as SQLite wants it.
pub struct Sqlite {
    path: std::path::PathBuf,
    connections: Mutex<Vec<Connection>>,
}

impl Sqlite {
    pub fn create(path: &Path) -> Self {
        let sqlite = Sqlite { path: path.join("db.sqlite"), connections: Mutex::new(Vec::new()) };
        let connection = sqlite.connect();
        connection.execute_batch("CREATE TABLE IF NOT EXISTS t (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID").unwrap();
        sqlite.connections.lock().unwrap().push(connection);
        sqlite
    }

    fn connect(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536")
            .unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
        connection
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> T {
        let pooled = self.connections.lock().unwrap().pop();
        let mut connection = pooled.unwrap_or_else(|| self.connect());
        let result = work(&mut connection);
        self.connections.lock().unwrap().push(connection);
        result
    }
}

impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite blob"
    }

    fn put_all(&self, items: &mut dyn Iterator<Item = (String, &[u8])>) {
        self.with(|connection| {
            let txn = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
            {
                let mut insert = txn.prepare_cached("INSERT OR REPLACE INTO t VALUES (?1, ?2)").unwrap();
                for (name, bytes) in items {
                    insert.execute(rusqlite::params![name, bytes]).unwrap();
                }
            }
            txn.commit().unwrap();
        });
    }

    fn get(&self, name: &str, look: &mut dyn FnMut(&[u8])) {
        self.with(|connection| {
            let mut select = connection.prepare_cached("SELECT v FROM t WHERE k = ?1").unwrap();
            let mut rows = select.query([name]).unwrap();
            look(rows.next().unwrap().unwrap().get_ref(0).unwrap().as_blob().unwrap());
        });
    }
}
