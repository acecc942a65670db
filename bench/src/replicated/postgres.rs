//! PostgreSQL, and clients of it without annals: rows of the same bytes, as a program would insert and read them
//! itself.

use annals_postgres::Postgres;
use annals_replicated::NewEntry;
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Statement};

use super::cluster::Cluster;
use super::engine::{Client, Engine};
use super::server::Server;

/// The table that the plain clients insert into.
const TABLE: &str = "
    create table plain (writer bigint, number bigint, body bytea not null, primary key (writer, number));
    alter table plain alter column body set storage external";

/// The servers of a measurement.
pub(super) enum PostgresServers {
    One(Server),
    Three(Cluster),
}

impl PostgresServers {
    /// Starts one server or three. Returns none where PostgreSQL is not installed.
    pub(super) fn start(is_one: bool) -> Option<Self> {
        let servers =
            if is_one { Self::One(Server::start(&[])?) } else { Self::Three(Cluster::start()?) };
        servers.primary().sql(TABLE);
        Some(servers)
    }

    fn primary(&self) -> &Server {
        match self {
            Self::One(server) => server,
            Self::Three(cluster) => cluster.primary(),
        }
    }
}

impl Engine for PostgresServers {
    type Log = Postgres;
    type Client = Plain;
    const WRITES: &'static [&'static str] =
        &["plain insert", "plain insert with NOTIFY in its transaction"];
    const READ: &'static str = "plain select";

    fn connect(&self, store: &str) -> Postgres {
        let url = match self {
            Self::One(server) => server.url(store),
            Self::Three(cluster) => cluster.url(store),
        };
        Postgres::connect(&url).expect("a URL")
    }

    fn clients(&self, writers: usize, threads: usize) -> Vec<Plain> {
        (0..writers * threads).map(|number| Plain::connect(self.primary(), number)).collect()
    }

    fn store(&self, store: &str, entries: Vec<NewEntry>) {
        Plain::connect(self.primary(), 0).store(store, &entries);
    }
}

/// A connection that runs one prepared statement at a time.
pub(super) struct Plain {
    runtime: Runtime,
    client: tokio_postgres::Client,
    insert: Statement,
    insert_and_notify: Statement,
    writer: i64,
    number: i64,
}

impl Plain {
    fn connect(server: &Server, writer: usize) -> Self {
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

    /// Stores commits in a record, many in a transaction.
    fn store(&mut self, store: &str, entries: &[NewEntry]) {
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
}

impl Client for Plain {
    /// Inserts a row in a transaction of its own; the second way also sends a notification in that transaction.
    fn write(&mut self, way: usize, body: &Bytes) {
        self.number += 1;
        let body = &body[..];
        let row: [&(dyn ToSql + Sync); 3] = [&self.writer, &self.number, &body];
        let statement = if way == 0 { &self.insert } else { &self.insert_and_notify };
        self.runtime.block_on(self.client.query(statement, &row)).expect("inserts");
    }

    fn read_record(&mut self, store: &str, page: usize, commits: usize) {
        let page = i64::try_from(page).expect("a small number");
        let mut from = 0_i64;
        let sql = "select number, body from annals_commits where store = $1 and number >= $2 order by number limit $3";
        let statement = self.runtime.block_on(self.client.prepare(sql)).expect("a statement");
        loop {
            let parameters: [&(dyn ToSql + Sync); 3] = [&store, &from, &page];
            let rows = self.client.query(&statement, &parameters);
            let rows = self.runtime.block_on(rows).expect("reads");
            let Some(last) = rows.last() else {
                return assert_eq!(usize::try_from(from), Ok(commits), "every commit");
            };
            from = last.get::<_, i64>(0) + 1;
            assert!(rows.iter().all(|row| !row.get::<_, &[u8]>(1).is_empty()), "each has bytes");
        }
    }
}
