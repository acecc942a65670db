//! PostgreSQL without annals: rows of the same bytes, as a program would insert and read them itself.

use annals_replicated::NewEntry;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::server::Server;

/// Makes the table that the plain clients insert into.
pub(super) fn create_table(server: &Server) {
    server.sql(
        "create table plain (writer bigint, number bigint, body bytea not null, primary key (writer, number));
         alter table plain alter column body set storage external",
    );
}

/// A connection that runs one prepared statement at a time.
pub(super) struct Plain {
    runtime: Runtime,
    client: Client,
    insert: Statement,
    insert_and_notify: Statement,
    writer: i64,
    number: i64,
}

impl Plain {
    pub(super) fn connect(server: &Server, writer: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = server.connection("plain");
        let (client, insert, insert_and_notify) = runtime.block_on(async {
            let (client, driver) =
                tokio_postgres::connect(&connection, NoTls).await.expect("connects");
            tokio::spawn(driver);
            let insert = "insert into plain values ($1, $2, $3)";
            let notify = "with stored as (insert into plain values ($1, $2, $3) returning number)
                          select pg_notify('plain', number::text) from stored";
            let insert = client.prepare(insert).await.expect("a statement");
            let notify = client.prepare(notify).await.expect("a statement");
            (client, insert, notify)
        });
        let writer = i64::try_from(writer).expect("a small number");
        let last = "select coalesce(max(number), 0) from plain where writer = $1";
        let last = runtime.block_on(client.query_one(last, &[&writer])).expect("a number");
        Self { runtime, client, insert, insert_and_notify, writer, number: last.get(0) }
    }

    /// Inserts a row in a transaction of its own.
    pub(super) fn insert(&mut self, body: &[u8]) {
        self.number += 1;
        let row: [&(dyn ToSql + Sync); 3] = [&self.writer, &self.number, &body];
        let stored = self.client.execute(&self.insert, &row);
        self.runtime.block_on(stored).expect("inserts");
    }

    /// Inserts a row and sends a notification, in one transaction.
    pub(super) fn insert_and_notify(&mut self, body: &[u8]) {
        self.number += 1;
        let parameters: [&(dyn ToSql + Sync); 3] = [&self.writer, &self.number, &body];
        let stored = self.client.query(&self.insert_and_notify, &parameters);
        self.runtime.block_on(stored).expect("inserts");
    }

    /// Stores commits in a record, many in a transaction.
    pub(super) fn store(&mut self, store: &str, entries: impl Iterator<Item = NewEntry>) {
        let entries: Vec<NewEntry> = entries.collect();
        let sql = "insert into annals_commits values ($1, $2, $3, $4, $5, $6)";
        self.runtime.block_on(async {
            let statement = self.client.prepare(sql).await.expect("a statement");
            for part in entries.chunks(1_000) {
                let transaction = self.client.transaction().await.expect("a transaction");
                for entry in part {
                    let (number, first) =
                        (entry.number.cast_signed(), entry.first_offset.cast_signed());
                    let (previous, hash): (&[u8], &[u8]) = (&entry.previous.0, &entry.hash.0);
                    let stored: [&(dyn ToSql + Sync); 6] =
                        [&store, &number, &previous, &hash, &first, &&entry.bytes[..]];
                    transaction.execute(&statement, &stored).await.expect("inserts");
                }
                transaction.commit().await.expect("commits");
            }
        });
    }

    /// Reads the commits of a record in pages, and returns their number and size.
    pub(super) fn read_record(&self, store: &str, page: i64) -> (usize, usize) {
        let (mut from, mut bytes) = (0_i64, 0);
        let sql = "select number, body from annals_commits where store = $1 and number >= $2 order by number limit $3";
        let statement = self.runtime.block_on(self.client.prepare(sql)).expect("a statement");
        loop {
            let parameters: [&(dyn ToSql + Sync); 3] = [&store, &from, &page];
            let rows = self.client.query(&statement, &parameters);
            let rows = self.runtime.block_on(rows).expect("reads");
            let Some(last) = rows.last() else {
                return (usize::try_from(from).expect("a number"), bytes);
            };
            from = last.get::<_, i64>(0) + 1;
            bytes += rows.iter().map(|row| row.get::<_, &[u8]>(1).len()).sum::<usize>();
        }
    }
}
