//! The maps of user namespaces, from a process in each (`user_namespaces(7)`).

use std::fs;

use crate::model::{MapLine, Maps, NsRow};

/// The maps of `row`, a user namespace; `None` if no process in it can be read.
pub(super) fn read(row: &NsRow) -> Option<Maps> {
    row.tasks().find_map(|pid| {
        let file = |name: &str| {
            let text = fs::read_to_string(format!("/proc/{pid}/{name}")).ok()?;
            Some(text.lines().filter_map(line).collect())
        };
        Some(Maps { users: file("uid_map")?, groups: file("gid_map")? })
    })
}

fn line(text: &str) -> Option<MapLine> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(MapLine { inside: next()?, outside: next()?, count: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_three_numbers() {
        let whole = MapLine { inside: 0, outside: 1000, count: 4_294_967_295 };
        assert_eq!(line("         0       1000 4294967295"), Some(whole));
        assert_eq!(line("0 1000"), None);
    }
}
