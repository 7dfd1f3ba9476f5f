//! The types of expressions.

use std::fmt;

use super::words::Words;

/// The type of an expression: a base type, or lists of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kind {
    /// What is inside.
    pub(super) base: Base,
    /// How many lists are around it.
    pub(super) lists: u8,
}

/// A type that is not a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Base {
    Bool,
    Int,
    Uint,
    Double,
    Text(Words),
    Object(Object),
    /// The element of `[]`: fits every type.
    Any,
}

/// A JSON object inside events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Object {
    Event,
    /// An event with what rules know beside it.
    Sighting,
    Ancestor,
    Origin,
    Row,
    Process,
    NsInfo,
    Ns,
    Slots,
    Change,
    MapWrite,
    MapLine,
    Container,
    Pod,
    Creator,
    Target,
    Task,
    Status,
    Loss,
    ByEvent,
    Host,
}

impl Kind {
    pub(super) const BOOL: Self = Self::of(Base::Bool);
    pub(super) const INT: Self = Self::of(Base::Int);
    pub(super) const TEXT: Self = Self::of(Base::Text(Words::Any));
    pub(super) const ANY: Self = Self::of(Base::Any);

    pub(super) const fn of(base: Base) -> Self {
        Self { base, lists: 0 }
    }

    pub(super) const fn object(object: Object) -> Self {
        Self::of(Base::Object(object))
    }

    /// A list of these; `None` if nobody can have meant that many lists.
    pub(super) fn list(self) -> Option<Self> {
        let lists = self.lists.checked_add(1)?;
        Some(Self { lists, ..self })
    }

    /// What a list of this type has as elements.
    pub(super) fn element(self) -> Option<Self> {
        let lists = self.lists.checked_sub(1)?;
        Some(Self { lists, ..self })
    }

    pub(super) fn is_number(self) -> bool {
        self.lists == 0 && matches!(self.base, Base::Int | Base::Uint | Base::Double)
    }

    pub(super) fn is_text(self) -> bool {
        self.lists == 0 && matches!(self.base, Base::Text(_))
    }

    /// The words that it is made of.
    pub(super) const fn words(self) -> Words {
        match self.base {
            Base::Text(words) => words,
            _ => Words::Any,
        }
    }

    /// The type that values of both types have.
    pub(super) fn common(self, other: Self) -> Option<Self> {
        match (self.base, other.base) {
            (Base::Any, _) if self.lists <= other.lists => Some(other),
            (_, Base::Any) if other.lists <= self.lists => Some(self),
            (Base::Text(one), Base::Text(two)) if one != two && self.lists == other.lists => {
                Some(Self { base: Base::Text(Words::Any), ..self })
            }
            _ => (self == other).then_some(self),
        }
    }

    /// Whether `==` has a meaning for values of both types; numbers compare across their types.
    pub(super) fn equates(self, other: Self) -> bool {
        let numbers = self.lists == other.lists
            && Self::of(self.base).is_number()
            && Self::of(other.base).is_number();
        numbers || self.common(other).is_some()
    }

    /// Whether `<` has a meaning for values of both types.
    pub(super) fn orders(self, other: Self) -> bool {
        let simple = !matches!(self.base, Base::Object(_) | Base::Any);
        self.lists == 0 && simple && self.equates(other)
    }

    /// How the type is called in messages and documents.
    pub(super) fn name(self) -> &'static str {
        match (self.lists, self.base) {
            (0, Base::Bool) => "bool",
            (0, Base::Int) => "int",
            (0, Base::Uint) => "uint",
            (0, Base::Double) => "double",
            (0, Base::Text(_)) => "string",
            (0, Base::Any) => "any",
            (0, Base::Object(Object::Ns)) => "namespace",
            (0, Base::Object(Object::Change)) => "change",
            (0, Base::Object(Object::MapLine)) => "range",
            (0, Base::Object(Object::Ancestor)) => "ancestor",
            (0, Base::Object(_)) => "object",
            (1, Base::Bool) => "list(bool)",
            (1, Base::Int) => "list(int)",
            (1, Base::Uint) => "list(uint)",
            (1, Base::Double) => "list(double)",
            (1, Base::Text(_)) => "list(string)",
            (1, Base::Object(Object::Ns)) => "list(namespace)",
            (1, Base::Object(Object::Change)) => "list(change)",
            (1, Base::Object(Object::MapLine)) => "list(range)",
            (1, Base::Object(Object::Ancestor)) => "list(ancestor)",
            (1, _) => "list",
            _ => "list(list)",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Object {
    /// Whether it can be handled as one value; of the others only fields can be used.
    pub(super) const fn is_value(self) -> bool {
        matches!(self, Self::Ns | Self::Change | Self::MapLine | Self::Ancestor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_fits_every_list() {
        let texts = Kind::TEXT.list().unwrap();
        let empty = Kind::ANY.list().unwrap();
        assert_eq!(texts.common(empty), Some(texts));
        assert_eq!(empty.common(texts), Some(texts));
        assert_eq!(empty.common(Kind::TEXT), None);
        assert_eq!(texts.common(Kind::TEXT), None);
    }

    #[test]
    fn numbers_compare_across_types_and_strings_do_not() {
        let double = Kind::of(Base::Double);
        assert!(Kind::INT.equates(double) && double.orders(Kind::INT));
        assert!(!Kind::INT.equates(Kind::TEXT) && !Kind::TEXT.orders(Kind::INT));
        assert!(!Kind::object(Object::Ns).orders(Kind::object(Object::Ns)));
    }
}
