//! The SQL. A commit with number *n* is at slot *n* + 1.

/// Returns whether the table of all records is there.
pub(crate) const HAS_TABLE: &str = "select to_regclass('annals_commits') is not null";

/// Makes the table of all records of a database.
pub(crate) const CREATE_TABLE: &str = "
    create table if not exists annals_commits (
        store  text   not null,
        number bigint not null check (number >= 0),
        prev   bytea  not null,
        hash   bytea  not null,
        first  bigint not null,
        body   bytea  not null,
        primary key (store, number)
    );
    alter table annals_commits alter column body set storage external";

/// Takes a lock until the end of the transaction, so that two sessions do not make the table at the same time. The
/// number is the ASCII text `annals`.
pub(crate) const LOCK_TABLE: &str = "select pg_advisory_xact_lock(107126926175347)";

/// Stores a genesis, if the record has no commit. Returns whether it did, and the server's clock in ms.
pub(crate) const INSERT_GENESIS: &str = "
    with stored as (
        insert into annals_commits (store, number, prev, hash, first, body)
        select $1::text, 0, $2::bytea, $3::bytea, 0, $4::bytea
        where not exists (select 1 from annals_commits where store = $1)
        on conflict do nothing
        returning 1
    )
    select exists (select 1 from stored), (extract(epoch from clock_timestamp()) * 1000)::bigint";

/// Stores a commit behind the one that it was decided on. Returns whether it did, and the server's clock in ms.
pub(crate) const APPEND: &str = "
    with stored as (
        insert into annals_commits (store, number, prev, hash, first, body)
        select $1::text, $2::bigint, $3::bytea, $4::bytea, $5::bigint, $6::bytea
        where exists (select 1 from annals_commits where store = $1 and number = $2 - 1 and hash = $3)
        on conflict do nothing
        returning 1
    )
    select exists (select 1 from stored), (extract(epoch from clock_timestamp()) * 1000)::bigint";

/// Returns commits from number `$2` on: at most `$3`, and only the first one or as many as have `$4` bytes together.
/// Each with its number, its bytes, whether the server is a standby, and the server's clock in ms. Without commits, one
/// row says the last two, and its number and bytes are null.
pub(crate) const READ: &str = "
    select number, body, pg_is_in_recovery(), (extract(epoch from clock_timestamp()) * 1000)::bigint
    from (select 1) server
    left join (
        select number, body, sum(length(body)) over (order by number) as bytes,
               row_number() over (order by number) as place
        from (
            select number, body from annals_commits
            where store = $1::text and number >= $2::bigint order by number limit $3::bigint
        ) page
    ) sized on bytes <= $4::bigint or place = 1
    order by number";

/// Returns the first and the last number, null without a commit, and whether the server is a standby.
pub(crate) const ENDS: &str = "
    select min(number), max(number), pg_is_in_recovery() from annals_commits where store = $1::text";

/// Sends a notification. It is a transaction of its own: in that of an append it would hold a lock of the whole server
/// while the append waits for a standby.
pub(crate) const NOTIFY: &str = "select pg_notify($1::text, $2::text)";

/// Writes to the log of the server, in a transaction of its own: it ends when everything before it is as durable as a
/// commit. It changes no table.
pub(crate) const FENCE: &str = "select pg_logical_emit_message(true, 'annals', '')";

/// Returns which of these processes of the server are at work, each with when it began.
pub(crate) const AT_WORK: &str = "
    select pid, extract(epoch from backend_start)::text from pg_stat_activity
    where pid = any($1::int[]) and state = 'active'";

/// Returns the settings of a server that decide whether it can be trusted, and which of its processes serves the
/// session.
pub(crate) const SETTINGS: &str = "
    select current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes'),
           current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
           current_setting('data_checksums'), pg_is_in_recovery(), pg_postmaster_start_time()::text,
           pg_backend_pid(),
           (select extract(epoch from backend_start)::text from pg_stat_activity where pid = pg_backend_pid())";
