//! How people name a namespace on the command line.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};
use strsim::damerau_levenshtein;

use super::{Kind, Slot};

/// The largest process number there can be (`PID_MAX_LIMIT` of include/linux/threads.h). The inode
/// numbers of namespaces are far above it (`PROC_DYNAMIC_FIRST` of fs/proc/generic.c).
const LARGEST_PID: u32 = 4 << 20;

/// A name for one or more namespaces.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Selector {
    /// `4026532281`: the inode.
    Inode(u32),
    /// `net:4026532281` or `net:[4026532281]`: the type and the inode.
    Kind {
        /// The type.
        kind: Kind,
        /// The inode.
        inode: u32,
    },
    /// `id:59609417`: the kernel's 64-bit id.
    Id(u64),
    /// `pid:1234`, `1234`: the namespaces of a process; `pid:1234:net`: one of them.
    Pid {
        /// The process.
        pid: u32,
        /// Which of its ten; `None` for all.
        slot: Option<Slot>,
    },
    /// `name:blue`: the one that has this name (`ip netns`, `ns-trace netns pin`).
    Name(String),
    /// `container:3f2a`: those of the container whose id or name starts like this.
    Container(String),
    /// `/run/netns/blue`, `/proc/1234/ns/net`: a file of nsfs.
    Path(PathBuf),
}

/// Why a text is no selector.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing before the colon that is known.
    #[error(
        "`{0}` names no namespace: expected an inode, `TYPE:INODE`, `id:ID`, `pid:PID[:TYPE]`, `name:NAME`, `container:ID` or a path{near}",
        near = nearest(.0)
    )]
    Shape(String),
    /// A number was expected.
    #[error("`{what}` in `{text}` is no {expected}")]
    Number {
        /// The whole.
        text: String,
        /// The part.
        what: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A slot was expected.
    #[error(
        "`{what}` in `{text}` is no type of namespace: expected mnt, pid, pid_for_children, ipc, uts, net, user, cgroup, time or time_for_children{near}",
        near = like(what, Slot::ALL.map(Slot::name))
    )]
    Slot {
        /// The whole.
        text: String,
        /// The part.
        what: String,
    },
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.starts_with(['/', '.']) {
            return Ok(Self::Path(text.into()));
        }
        let Some((head, rest)) = text.split_once(':') else {
            let number = text.parse().ok().ok_or_else(|| SelectorError::Shape(text.to_owned()))?;
            return Ok(match number {
                0..=LARGEST_PID => Self::Pid { pid: number, slot: None },
                _ => Self::Inode(number),
            });
        };
        let wrong = |what: &str, expected| SelectorError::Number {
            text: text.to_owned(),
            what: what.to_owned(),
            expected,
        };
        match head {
            "id" => rest.parse().ok().map(Self::Id).ok_or_else(|| wrong(rest, "64-bit number")),
            "name" if !rest.is_empty() => Ok(Self::Name(rest.to_owned())),
            "container" if !rest.is_empty() => Ok(Self::Container(rest.to_owned())),
            "pid" if !is_inode(rest) => {
                let (number, slot) = match rest.split_once(':') {
                    Some((number, name)) => (number, Some(slot(text, name)?)),
                    None => (rest, None),
                };
                let pid = number.parse().ok().ok_or_else(|| wrong(number, "process number"))?;
                Ok(Self::Pid { pid, slot })
            }
            _ => {
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == head);
                let kind = kind.ok_or_else(|| SelectorError::Shape(text.to_owned()))?;
                let inode = plain(rest).parse().ok().ok_or_else(|| wrong(rest, "inode number"))?;
                Ok(Self::Kind { kind, inode })
            }
        }
    }
}

/// Words before a colon, besides the types.
const WORDS: [&str; 3] = ["id", "name", "container"];

/// `; did you mean ...?` if a text is almost a selector.
fn nearest(text: &str) -> String {
    let Some((head, rest)) = text.split_once(':') else { return String::new() };
    let words = WORDS.into_iter().chain(Kind::ALL.map(Kind::name));
    like(head, words).replacen("`?", &format!(":{rest}`?"), 1)
}

/// `; did you mean ...?` with the word that is most like `word`, if one is at all.
fn like(word: &str, known: impl IntoIterator<Item = &'static str>) -> String {
    let most = word.len() / 3;
    let distances = known.into_iter().map(|known| (damerau_levenshtein(word, known), known));
    let near = distances.filter(|(distance, _)| *distance <= most).min();
    near.map(|(_, near)| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// `[4026532281]` without the brackets that the kernel's own links have.
fn plain(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

fn is_inode(text: &str) -> bool {
    plain(text).parse::<u32>().is_ok_and(|number| number > LARGEST_PID)
}

fn slot(text: &str, name: &str) -> Result<Slot, SelectorError> {
    let slot = Slot::ALL.into_iter().find(|slot| slot.name() == name);
    slot.ok_or_else(|| SelectorError::Slot { text: text.to_owned(), what: name.to_owned() })
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inode(inode) => write!(f, "{inode}"),
            Self::Kind { kind, inode } => write!(f, "{}:{inode}", kind.name()),
            Self::Id(id) => write!(f, "id:{id}"),
            Self::Pid { pid, slot: None } => write!(f, "pid:{pid}"),
            Self::Pid { pid, slot: Some(slot) } => write!(f, "pid:{pid}:{}", slot.name()),
            Self::Name(name) => write!(f, "name:{name}"),
            Self::Container(id) => write!(f, "container:{id}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, selector: &Selector, shown: &str) {
        assert_eq!(text.parse::<Selector>().as_ref(), Ok(selector));
        assert_eq!(selector.to_string(), shown);
    }

    #[test]
    fn every_shape_is_understood() {
        let net = Selector::Kind { kind: Kind::Net, inode: 4_026_532_281 };
        check("net:4026532281", &net, "net:4026532281");
        check("net:[4026532281]", &net, "net:4026532281");
        check("4026532281", &Selector::Inode(4_026_532_281), "4026532281");
        check("id:59609417", &Selector::Id(59_609_417), "id:59609417");
        check("1234", &Selector::Pid { pid: 1234, slot: None }, "pid:1234");
        check("pid:7:net", &Selector::Pid { pid: 7, slot: Some(Slot::Net) }, "pid:7:net");
        check("name:a:b", &Selector::Name("a:b".to_owned()), "name:a:b");
        check("container:3f", &Selector::Container("3f".to_owned()), "container:3f");
        check("/a", &Selector::Path("/a".into()), "/a");
    }

    #[test]
    fn process_numbers_and_inodes_of_pid_namespaces_do_not_overlap() {
        let pid = Selector::Kind { kind: Kind::Pid, inode: 4_026_531_836 };
        check("pid:4026531836", &pid, "pid:4026531836");
        check("pid:4194304", &Selector::Pid { pid: 4_194_304, slot: None }, "pid:4194304");
    }

    #[test]
    fn what_was_almost_right_is_suggested() {
        for (text, near) in [
            ("nett:5", "; did you mean `net:5`?"),
            ("usr:5", "; did you mean `user:5`?"),
            ("nmae:blue", "; did you mean `name:blue`?"),
            ("containr:3f", "; did you mean `container:3f`?"),
            ("pid:1:nett", "; did you mean `net`?"),
        ] {
            let error = text.parse::<Selector>().expect_err(text).to_string();
            assert!(error.contains(near), "{error}");
        }
        for text in ["blue", "qq:5", "pid:1:qqq"] {
            let error = text.parse::<Selector>().expect_err(text).to_string();
            assert!(!error.contains("did you mean"), "{error}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused_in_words() {
        for text in ["", "net", "nett:1", "name:", "net:x", "pid:x", "pid:1:nett", "id:-1"] {
            let error = text.parse::<Selector>().expect_err(text).to_string();
            assert!(text.is_empty() || error.contains(text), "{error}");
        }
    }
}
