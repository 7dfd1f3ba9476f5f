//! Pieces of an event as CEL values, made only when an expression asks for them.

use std::{borrow::Cow, sync::Arc};

use cel::{
    ExecutionError,
    common::{
        traits::Indexer,
        types::{CelBool, CelInt, CelList, CelString, DYN_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};

use super::{field::Field, kind::Object, row::Cells, sighting::Sighting};
use crate::model::{
    Ancestor, Container, Creator, Event, NsInfo, NsRef, Origin, Pod, Process, Slots, TaskRef,
    event::{ByEvent, Change, Host, Loss, MapLine, MapWrite, Status, Target},
};

/// A piece of an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum View<'e> {
    Bool(bool),
    Int(u64),
    Text(Cow<'e, str>),
    List(Vec<Self>),
    Event(&'e Event),
    Sighting(Sighting<'e>),
    Ancestor(Arc<Ancestor>),
    Origin(&'e Origin),
    Row(Cells<'e>),
    Process(&'e Process),
    NsInfo(&'e NsInfo),
    Ns(NsRef),
    Slots(&'e Slots),
    Change(Change),
    MapWrite(&'e MapWrite),
    MapLine(MapLine),
    Container(&'e Container),
    Pod(&'e Pod),
    Creator(&'e Creator),
    Target(&'e Target),
    Task(&'e TaskRef),
    Status(&'e Status),
    Loss(&'e Loss),
    ByEvent(&'e ByEvent),
    Host(&'e Host),
}

impl<'e> View<'e> {
    /// Whether JSON leaves it out where zero and false are not written.
    pub(super) fn is_zero(&self) -> bool {
        matches!(self, Self::Bool(false) | Self::Int(0))
    }

    /// The CEL value; `None` for what no expression can handle as one value.
    pub(super) fn into_val(self) -> Option<CowVal<'e, 'e>> {
        Some(match self {
            Self::Bool(true) => CowVal::Borrowed(&CelBool::TRUE),
            Self::Bool(false) => CowVal::Borrowed(&CelBool::FALSE),
            Self::Int(number) => CowVal::owned(CelInt::from(i64::try_from(number).ok()?)),
            Self::Text(text) => CowVal::owned(CelString::from(text)),
            Self::List(items) => {
                let items: Option<Vec<_>> =
                    items.into_iter().map(|item| item.into_val().map(CowVal::into_owned)).collect();
                CowVal::owned(CelList::from(items?))
            }
            Self::Ns(ns) => CowVal::owned(Item::Ns(ns)),
            Self::Change(change) => CowVal::owned(Item::Change(change)),
            Self::MapLine(line) => CowVal::owned(Item::MapLine(line)),
            Self::Ancestor(ancestor) => CowVal::owned(Item::Ancestor(ancestor)),
            _ => return None,
        })
    }
}

/// An object as one CEL value, such as the variable of `changes.exists(c, …)`.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Ns(NsRef),
    Change(Change),
    MapLine(MapLine),
    Ancestor(Arc<Ancestor>),
}

impl Item {
    fn field(&self, name: &str) -> Option<Box<dyn Val>> {
        let (object, view) = match self {
            Self::Ns(ns) => (Object::Ns, View::Ns(*ns)),
            Self::Change(change) => (Object::Change, View::Change(*change)),
            Self::MapLine(line) => (Object::MapLine, View::MapLine(*line)),
            Self::Ancestor(ancestor) => (Object::Ancestor, View::Ancestor(Arc::clone(ancestor))),
        };
        Field::find(object, name)?.get(&view)?.into_val().map(CowVal::into_owned)
    }
}

impl Val for Item {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>() == Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl StaticVal for Item {}

impl Indexer for Item {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = name.downcast_ref::<CelString>().map_or("", CelString::inner);
        self.field(name).map(CowVal::Owned).ok_or_else(|| ExecutionError::no_such_key(name))
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}
