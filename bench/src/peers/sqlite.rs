//! SQLite: a table of events and one of tags; write-ahead log, synchronous FULL, one transaction a commit.
//!
//! It has one writer at a time and no group commit: writers queue for one connection, which spares them its busy loop.
//! Readers have connections of their own, so that they run beside the writer.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use annals::RawEvent;
use rusqlite::{Connection, params};

use super::{Candidate, Peer};

pub const SQLITE: Candidate = Candidate::new("SQLite", open);

struct Sqlite {
    path: PathBuf,
    writer: Mutex<(Connection, u64)>,
    readers: Mutex<Vec<Connection>>,
}

fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("the database opens");
    connection.pragma_update(None, "journal_mode", "WAL").expect("it is set");
    connection.pragma_update(None, "synchronous", "FULL").expect("it is set");
    connection
}

fn open(path: &Path) -> Box<dyn Peer> {
    let path = path.join("events.sqlite");
    let writer = connect(&path);
    writer
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS events(offset INTEGER PRIMARY KEY, type TEXT NOT NULL, data BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS tags(tag TEXT NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY(tag, offset)) WITHOUT ROWID;",
        )
        .expect("the tables are there");
    let next = writer
        .query_row("SELECT coalesce(max(offset) + 1, 0) FROM events", [], |row| {
            row.get::<_, i64>(0)
        })
        .expect("reads");
    let writer = Mutex::new((writer, next.unsigned_abs()));
    Box::new(Sqlite { path, writer, readers: Mutex::default() })
}

impl Sqlite {
    /// Lends a reader's connection.
    fn reading<R>(&self, work: impl FnOnce(&Connection) -> R) -> R {
        let idle = self.readers.lock().expect("nobody panicked").pop();
        let connection = idle.unwrap_or_else(|| connect(&self.path));
        let answer = work(&connection);
        self.readers.lock().expect("nobody panicked").push(connection);
        answer
    }

    /// Shows the payloads that a statement finds.
    fn show(&self, sql: &str, of: impl rusqlite::Params, see: &mut dyn FnMut(&[u8])) -> u64 {
        self.reading(|connection| {
            let mut statement = connection.prepare_cached(sql).expect("is SQL");
            let mut rows = statement.query(of).expect("reads");
            let mut count = 0;
            while let Some(row) = rows.next().expect("reads") {
                see(row.get_ref(0).expect("a column").as_blob().expect("a blob"));
                count += 1;
            }
            count
        })
    }
}

impl Peer for Sqlite {
    fn append(&self, events: Vec<RawEvent>) {
        let mut writer = self.writer.lock().expect("nobody panicked");
        let (connection, next) = &mut *writer;
        let transaction = connection.transaction().expect("it begins");
        {
            let insert = |sql| transaction.prepare_cached(sql).expect("is SQL");
            let mut event_in = insert("INSERT INTO events VALUES (?1, ?2, ?3)");
            let mut tag_in = insert("INSERT INTO tags VALUES (?1, ?2)");
            for event in &events {
                let offset = next.cast_signed();
                event_in
                    .execute(params![offset, event.event_type(), event.data_bytes()])
                    .expect("inserts");
                for tag in event.tags() {
                    tag_in.execute(params![tag, offset]).expect("inserts");
                }
                *next += 1;
            }
        }
        transaction.commit().expect("commits");
    }

    fn scan(&self, see: &mut dyn FnMut(&[u8])) -> Option<u64> {
        Some(self.show("SELECT data FROM events ORDER BY offset", [], see))
    }

    fn get(&self, offset: u64, see: &mut dyn FnMut(&[u8])) {
        let offset = offset.cast_signed();
        let found = self.show("SELECT data FROM events WHERE offset = ?1", [offset], see);
        assert_eq!(found, 1, "is there");
    }

    fn tag(&self, tag: &str, see: &mut dyn FnMut(&[u8])) -> u64 {
        let sql =
            "SELECT data FROM tags JOIN events USING (offset) WHERE tag = ?1 ORDER BY tags.offset";
        self.show(sql, [tag], see)
    }
}
