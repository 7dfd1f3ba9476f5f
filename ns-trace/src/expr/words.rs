//! The words of fields whose text is not any: a comparison with another one is a slip of the pen.

use cel::{
    common::ast::{Expr, LiteralValue},
    parser::Expression,
};

use super::{
    check::Checker,
    error::{Error, Position},
    suggest,
};
use crate::model::{
    Cause, Errno, Kind, Life, MapFile, Runtime, Slot,
    event::{EventKind, Reason, Relation, SchemaName, Severity, Source, Stage},
};

/// What a text can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Words {
    /// Anything.
    Any,
    Schema,
    Source,
    Event,
    Cause,
    Flag,
    Relation,
    Errno,
    Reason,
    Severity,
    Type,
    Slot,
    File,
    Runtime,
    Stage,
    Life,
}

/// A string that is written out, and where.
type Written = (String, Position);

impl Words {
    /// Those that there are.
    pub(super) fn names(self) -> Vec<&'static str> {
        match self {
            Self::Any => Vec::new(),
            Self::Schema => vec![SchemaName::V1.name()],
            Self::Source => Source::ALL.map(Source::name).to_vec(),
            Self::Event => EventKind::ALL.map(EventKind::name).to_vec(),
            Self::Cause => Cause::ALL.map(Cause::name).to_vec(),
            Self::Flag => Kind::ALL.map(Kind::flag_name).to_vec(),
            Self::Relation => Relation::ALL.map(Relation::name).to_vec(),
            Self::Errno => Errno::names().collect(),
            Self::Reason => Reason::ALL.map(Reason::name).to_vec(),
            Self::Severity => Severity::ALL.map(Severity::name).to_vec(),
            Self::Type => Kind::ALL.map(Kind::name).to_vec(),
            Self::Slot => Slot::ALL.map(Slot::name).to_vec(),
            Self::File => MapFile::ALL.map(MapFile::name).to_vec(),
            Self::Runtime => Runtime::ALL.map(Runtime::name).to_vec(),
            Self::Stage => Stage::ALL.map(Stage::name).to_vec(),
            Self::Life => Life::ALL.map(Life::name).to_vec(),
        }
    }

    fn has(self, word: &str) -> bool {
        match self {
            Self::Any => true,
            // Numbers without a name are words too.
            Self::Errno => Errno::from_name(word).is_some_and(|errno| errno.to_string() == word),
            _ => self.names().contains(&word),
        }
    }

    /// Refuses what is none of them.
    pub(super) fn check(self, written: Vec<Written>) -> Result<(), Error> {
        match written.into_iter().find(|(word, _)| !self.has(word)) {
            None => Ok(()),
            Some((name, at)) => {
                let hint = suggest::word(&name, &self.names());
                Err(Error::Word { name, hint, at })
            }
        }
    }
}

impl Checker<'_> {
    /// The strings of an operand that is one or a list of them.
    pub(super) fn written(&self, operand: &Expression) -> Vec<Written> {
        match &operand.expr {
            Expr::Literal(LiteralValue::String(text)) => {
                vec![(text.inner().to_owned(), self.places.start(operand))]
            }
            Expr::List(list) => list.elements.iter().flat_map(|item| self.written(item)).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, Filter};

    #[test]
    fn words_that_a_field_never_has_are_refused_with_a_guess() {
        for (source, message, column) in [
            ("event == 'creat'", "unknown word `creat`, did you mean `create`?", 10),
            ("event != 'Create'", "unknown word `Create`, did you mean `create`?", 10),
            ("event in ['exec', 'creat']", "unknown word `creat`, did you mean `create`?", 19),
            ("'creat' == event", "unknown word `creat`, did you mean `create`?", 1),
            ("cause == 'setnss'", "unknown word `setnss`, did you mean `setns`?", 10),
            ("errno == 'EPRM'", "unknown word `EPRM`, did you mean `EPERM`?", 10),
            ("errno == 'eperm'", "unknown word `eperm`, did you mean `EPERM`?", 10),
            ("errno == 'ERRNO_1'", "unknown word `ERRNO_1`", 10),
            ("errno == '1'", "unknown word `1`", 10),
            (
                "'CLONE_NEWNIT' in flags",
                "unknown word `CLONE_NEWNIT`, did you mean `CLONE_NEWNET`?",
                1,
            ),
            ("flags == ['CLONE_NEW']", "unknown word `CLONE_NEW`, did you mean `CLONE_NEWNS`?", 11),
            ("relation == 'hosst'", "unknown word `hosst`, did you mean `host`?", 13),
            ("relation == ''", "unknown word ``; it can be host, own, other", 13),
            (
                "ns.type == 'network'",
                "unknown word `network`; it can be mnt, pid, ipc, uts, net, user, cgroup, time",
                12,
            ),
            ("process.ns.net.type == 'nte'", "unknown word `nte`, did you mean `net`?", 24),
            ("target.type == 'nte'", "unknown word `nte`, did you mean `net`?", 16),
            ("target.ns.exists(n, n.type == 'nte')", "unknown word `nte`, did you mean `net`?", 31),
            (
                "changes.exists(c, c.slot == 'pid_for_child')",
                "unknown word `pid_for_child`, did you mean `pid_for_children`?",
                29,
            ),
            (
                "flags.exists(f, f == 'CLONE_NEWNIT')",
                "unknown word `CLONE_NEWNIT`, did you mean `CLONE_NEWNET`?",
                22,
            ),
            ("map.file == 'uidmap'", "unknown word `uidmap`, did you mean `uid_map`?", 13),
            ("severity in ['hig']", "unknown word `hig`, did you mean `high`?", 14),
            ("source == 'probes'", "unknown word `probes`, did you mean `probe`?", 11),
            ("lost.stage == 'sinc'", "unknown word `sinc`, did you mean `sink`?", 15),
            ("reason == 'stat'", "unknown word `stat`, did you mean `start`?", 11),
            ("container.runtime == 'crio'", "unknown word `crio`, did you mean `cri-o`?", 22),
            ("schema == 'ns-trace/2'", "unknown word `ns-trace/2`, did you mean `ns-trace/1`?", 11),
        ] {
            let error = Filter::compile(source).expect_err(source);
            assert_eq!(
                (&*error.to_string(), error.position().column),
                (message, column),
                "{source}"
            );
        }
        let error = Condition::compile("row.cause == 'unshared'").unwrap_err();
        assert_eq!(error.to_string(), "unknown word `unshared`, did you mean `unshare`?");
    }

    #[test]
    fn other_text_is_free() {
        for source in [
            "errno in ['ERRNO_999', 'ERESTARTNOINTR', 'EPERM']",
            "process.comm == 'creat' && host.backend == 'other'",
            "event.startsWith('creat') && event < 'f'",
            "flags + ['x'] == ['CLONE_NEWNET', 'x']",
            "'x' in [event, process.comm]",
            "event == string('x') && map.value == 'maybe'",
        ] {
            assert!(Filter::compile(source).is_ok(), "{source}");
        }
    }
}
