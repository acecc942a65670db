//! The settings of a server, and whether it can be trusted with a record.

use annals_replicated::{Fitness, Unfit};

/// The settings of a server, as it reports them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) version: String,
    pub(crate) fsync: String,
    pub(crate) full_page_writes: String,
    pub(crate) synchronous_commit: String,
    pub(crate) standbys: String,
    pub(crate) data_checksums: String,
    pub(crate) is_standby: bool,
}

impl Settings {
    /// Judges a server.
    ///
    /// # Errors
    /// [`Unfit`] if it loses acknowledged commits when its power fails, and this is not accepted, or if it is a
    /// standby.
    pub(crate) fn judge(&self, accepts_unsynced: bool) -> Result<Fitness, Unfit> {
        let mut unsynced = Vec::new();
        for (name, value) in [("fsync", &self.fsync), ("full_page_writes", &self.full_page_writes)]
        {
            if value != "on" {
                unsynced.push(format!("{name} is {value}: set {name} = on in postgresql.conf"));
            }
        }
        if !["on", "remote_apply"].contains(&self.synchronous_commit.as_str()) {
            let value = &self.synchronous_commit;
            unsynced.push(format!(
                "synchronous_commit is {value} for this user and database: set it to on or remote_apply"
            ));
        }
        let mut reasons = Vec::new();
        if self.is_standby {
            reasons.push("the server is a standby: name the primary in the URL as well".to_owned());
        }
        let mut warnings = Vec::new();
        if accepts_unsynced { &mut warnings } else { &mut reasons }.append(&mut unsynced);
        if !reasons.is_empty() {
            return Err(Unfit { reasons });
        }
        if self.standbys.is_empty() {
            warnings.push(
                "one server alone stores the record, and the loss of its disk loses the record: name standbys in \
                 synchronous_standby_names, for example ANY 1 (db2, db3)"
                    .to_owned(),
            );
        }
        if self.data_checksums != "on" {
            warnings.push(
                "data_checksums is off: PostgreSQL does not notice a page that its disk changed (pg_checksums --enable)"
                    .to_owned(),
            );
        }
        let standbys = if self.standbys.is_empty() { "none" } else { &self.standbys };
        let engine = format!(
            "PostgreSQL {}, synchronous_commit {}, synchronous standbys: {standbys}",
            self.version, self.synchronous_commit
        );
        Ok(Fitness { engine, warnings })
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    fn safe() -> Settings {
        Settings {
            version: "15.14".into(),
            fsync: "on".into(),
            full_page_writes: "on".into(),
            synchronous_commit: "on".into(),
            standbys: "ANY 1 (s2, s3)".into(),
            data_checksums: "on".into(),
            is_standby: false,
        }
    }

    #[test]
    fn a_safe_server_is_fit() {
        let fitness = safe().judge(false).expect("it is fit");
        assert_eq!(fitness.warnings, Vec::<String>::new());
        assert!(
            fitness.engine.contains("15.14") && fitness.engine.contains("ANY 1"),
            "{}",
            fitness.engine
        );
    }

    #[test]
    fn a_server_alone_is_reported() {
        let fitness =
            Settings { standbys: String::new(), ..safe() }.judge(false).expect("it is fit");
        assert!(fitness.warnings[0].contains("one server alone"), "{:?}", fitness.warnings);
    }

    #[test]
    fn settings_that_lose_commits_are_refused_with_what_to_do() {
        for (settings, part) in [
            (Settings { fsync: "off".into(), ..safe() }, "set fsync = on"),
            (Settings { full_page_writes: "off".into(), ..safe() }, "set full_page_writes = on"),
            (Settings { synchronous_commit: "off".into(), ..safe() }, "set it to on"),
            (Settings { synchronous_commit: "local".into(), ..safe() }, "set it to on"),
            (Settings { synchronous_commit: "remote_write".into(), ..safe() }, "set it to on"),
        ] {
            let unfit = settings.judge(false).expect_err(part);
            assert!(unfit.reasons[0].contains(part), "{unfit}");
            let fitness = settings.judge(true).expect("it is accepted");
            assert!(fitness.warnings[0].contains(part), "{:?}", fitness.warnings);
        }
        let standby = Settings { is_standby: true, ..safe() };
        assert!(standby.judge(true).is_err(), "a standby is never fit");
    }
}
