//! The columns of the list of namespaces, and what stands in them.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

/// A column. The first thirteen are those of lsns(8), in its order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "`help` says what each is")]
pub enum Column {
    Ns,
    Type,
    Path,
    Nprocs,
    Pid,
    Ppid,
    Command,
    Uid,
    User,
    NetnsId,
    Nsfs,
    Pns,
    Ons,
    Id,
    Born,
    Age,
    Creator,
    Cause,
    Owner,
    Parent,
    Level,
    Nthreads,
    Holders,
    State,
    Container,
    Pod,
    UidMap,
}

impl Column {
    /// Every column, in the order of `--output-all`.
    pub const ALL: [Self; 27] = [
        Self::Ns,
        Self::Type,
        Self::Path,
        Self::Nprocs,
        Self::Pid,
        Self::Ppid,
        Self::Command,
        Self::Uid,
        Self::User,
        Self::NetnsId,
        Self::Nsfs,
        Self::Pns,
        Self::Ons,
        Self::Id,
        Self::Born,
        Self::Age,
        Self::Creator,
        Self::Cause,
        Self::Owner,
        Self::Parent,
        Self::Level,
        Self::Nthreads,
        Self::Holders,
        Self::State,
        Self::Container,
        Self::Pod,
        Self::UidMap,
    ];

    /// Those of lsns(8).
    pub const LSNS: usize = 13;

    const fn entry(self) -> (&'static str, &'static str, bool, &'static str) {
        match self {
            Self::Ns => ("NS", "ns", true, "inode of the namespace"),
            Self::Type => ("TYPE", "type", false, "type of the namespace"),
            Self::Path => ("PATH", "path", false, "file of the namespace in /proc"),
            Self::Nprocs => ("NPROCS", "nprocs", true, "how many processes are in it"),
            Self::Pid => ("PID", "pid", true, "the lowest process number in it"),
            Self::Ppid => ("PPID", "ppid", true, "the parent of PID"),
            Self::Command => ("COMMAND", "command", false, "the command line of PID"),
            Self::Uid => ("UID", "uid", true, "the user of PID; if there is none, the owner's"),
            Self::User => ("USER", "user", false, "the name of UID"),
            Self::NetnsId => {
                ("NETNSID", "netnsid", false, "the number that our network namespace gave it")
            }
            Self::Nsfs => ("NSFS", "nsfs", false, "where it is mounted"),
            Self::Pns => ("PNS", "pns", true, "inode of its parent, 0 if none is visible"),
            Self::Ons => {
                ("ONS", "ons", true, "inode of its owning user namespace, 0 if none is visible")
            }
            Self::Id => ("ID", "id", true, "the kernel's 64-bit id, never used twice"),
            Self::Born => ("BORN", "born", false, "when it was made (with --watch)"),
            Self::Age => ("AGE", "age", true, "seconds since it was made (with --watch)"),
            Self::Creator => ("CREATOR", "creator", false, "who made it (with --watch)"),
            Self::Cause => ("CAUSE", "cause", false, "which call made it (with --watch)"),
            Self::Owner => ("OWNER", "owner", false, "the user namespace that owns it"),
            Self::Parent => ("PARENT", "parent", false, "the pid or user namespace above it"),
            Self::Level => ("LEVEL", "level", true, "how deep it lies below the initial one"),
            Self::Nthreads => ("NTHREADS", "nthreads", true, "how many threads are in it"),
            Self::Holders => ("HOLDERS", "holders", false, "what else keeps it, counted by kind"),
            Self::State => ("STATE", "state", false, "active: has processes; held: has none; dead"),
            Self::Container => ("CONTAINER", "container", false, "the container of PID"),
            Self::Pod => ("POD", "pod", false, "the pod of PID"),
            Self::UidMap => ("UIDMAP", "uidmap", false, "its map of users: inside outside count"),
        }
    }

    /// The heading.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().0
    }

    /// The name in JSON and in filters.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.entry().1
    }

    /// Whether its cells are numbers.
    #[must_use]
    pub const fn is_number(self) -> bool {
        self.entry().2
    }

    /// What stands in it.
    #[must_use]
    pub const fn help(self) -> &'static str {
        self.entry().3
    }

    /// Whether its cells are aligned to the right.
    #[must_use]
    pub const fn is_right(self) -> bool {
        self.is_number() || matches!(self, Self::NetnsId)
    }
}

impl FromStr for Column {
    type Err = UnknownColumn;

    fn from_str(name: &str) -> Result<Self, UnknownColumn> {
        let found = Self::ALL.into_iter().find(|column| column.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownColumn(name.to_owned()))
    }
}

/// A name that no column has.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown column: {0}")]
pub struct UnknownColumn(pub String);

/// What stands in one cell.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Cell {
    /// Nothing.
    #[default]
    Empty,
    /// A number.
    Number(u64),
    /// Text, which mostly stands in many cells.
    Text(Arc<str>),
    /// A number of seconds, which people read as a duration.
    Seconds(u64),
    /// A long name of which people read but the start.
    Digest(Arc<str>),
}

impl Cell {
    /// The whole value as text; `None` if there is none.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Empty => None,
            Self::Number(number) | Self::Seconds(number) => Some(number.to_string().into()),
            Self::Text(text) | Self::Digest(text) => Some((&**text).into()),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_deref().unwrap_or_default())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Cell {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_case() {
        for column in Column::ALL {
            assert_eq!(column.key().parse(), Ok(column));
            assert_eq!(column.name().parse(), Ok(column));
            assert_eq!(column.key(), column.name().to_ascii_lowercase());
        }
        let unknown = "colour".parse::<Column>().unwrap_err();
        assert_eq!(unknown.to_string(), "unknown column: colour");
    }
}
