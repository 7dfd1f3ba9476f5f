//! Colours of a terminal: the sixteen that every theme defines.

/// The parameters of an SGR escape sequence (ECMA-48, `console_codes(4)`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style(&'static str);

impl Style {
    pub(crate) const PLAIN: Self = Self("");
    pub(crate) const BOLD: Self = Self("1");
    pub(crate) const DIM: Self = Self("2");
    pub(crate) const RED: Self = Self("31");
    pub(crate) const GREEN: Self = Self("32");
    pub(crate) const MAGENTA: Self = Self("35");
    pub(crate) const CYAN: Self = Self("36");
    /// What deserves a second look.
    pub(crate) const NOTABLE: Self = Self("1;33");
    pub(crate) const LOUD: Self = Self("1;31");
    pub(crate) const ALARM: Self = Self("1;37;41");

    /// The parameters; empty if nothing is to be changed.
    pub(crate) const fn parameters(self) -> &'static str {
        self.0
    }
}
