//! The page of keys.

/// Keys, and what they do.
pub(super) const KEYS: [(&str, &str); 17] = [
    ("Up Down  j k", "choose a namespace; scroll a page"),
    ("PgUp PgDn", "by a screenful"),
    ("Home End  g G", "first, last"),
    ("Enter", "everything about the chosen one, and back"),
    ("Tab  Left Right", "the next or former type"),
    ("0 to 8", "all types, or one of them: mnt pid ipc uts net user cgroup time"),
    ("/  F3", "only what has this text in a column, its id or a member's name"),
    ("w  F4", "only what this CEL expression is true for, as `ns-trace trace --where`"),
    ("t  F5", "as a list, below owners, below parents"),
    (">  <  F6", "sort by the next or former column"),
    ("I", "sort the other way round"),
    ("e", "events, or more of the list"),
    ("Space", "hold still, go on"),
    ("Esc", "back; forget the text that is looked for"),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "suspend"),
    ("q  F10  Ctrl-C", "quit"),
];
