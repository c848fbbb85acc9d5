//! Values that go into statements.

use crate::{AccountId, BlobId, ModSeq, Timestamp, TraceId};
use std::borrow::Cow;

/// One value for `$n`. Made by [`params!`](crate::params) from numbers, newtypes, text, bytes, options and lists.
#[derive(Debug, Clone, PartialEq)]
pub enum Param<'a> {
    /// NULL.
    Null,
    /// Any integer column.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// For `{in:$n}` and `{ints:$n}`.
    Ints(Cow<'a, [i64]>),
    /// For `{in:$n}` and `{texts:$n}`.
    Texts(Cow<'a, [&'a str]>),
}

/// The values of one statement: `params![account, "INBOX", Some(5), &ids]`.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::Param<'_>] };
    ($($value:expr),+ $(,)?) => { &[$($crate::Param::from($value)),+] as &[$crate::Param<'_>] };
}

macro_rules! from_number {
    ($($kind:ty),+) => { $(
        impl From<$kind> for Param<'_> {
            fn from(value: $kind) -> Self {
                Param::Int(i64::from(value))
            }
        }
    )+ };
}
from_number!(i64, i32, i16, u32, u16, u8, bool, AccountId, ModSeq, BlobId, TraceId, Timestamp);

macro_rules! from_borrowed {
    ($($kind:ty => $variant:ident $how:expr),+ $(,)?) => { $(
        impl<'a> From<&'a $kind> for Param<'a> {
            fn from(value: &'a $kind) -> Self {
                #[allow(clippy::redundant_closure_call)]
                Param::$variant(($how)(value))
            }
        }
    )+ };
}
from_borrowed! {
    str => Text |value| value,
    String => Text String::as_str,
    [u8] => Bytes |value| value,
    Vec<u8> => Bytes Vec::as_slice,
    [i64] => Ints Cow::Borrowed,
    Vec<i64> => Ints |value: &'a Vec<i64>| Cow::Borrowed(value.as_slice()),
    [&'a str] => Texts Cow::Borrowed,
    Vec<&'a str> => Texts |value: &'a Vec<&'a str>| Cow::Borrowed(value.as_slice()),
    [String] => Texts |value: &'a [String]| value.iter().map(String::as_str).collect(),
    Vec<String> => Texts |value: &'a Vec<String>| value.iter().map(String::as_str).collect(),
}

impl<'a, const N: usize> From<&'a [u8; N]> for Param<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Param::Bytes(value)
    }
}

impl<'a, const N: usize> From<&'a [i64; N]> for Param<'a> {
    fn from(value: &'a [i64; N]) -> Self {
        Param::Ints(Cow::Borrowed(value))
    }
}

impl<'a, const N: usize> From<&'a [&'a str; N]> for Param<'a> {
    fn from(value: &'a [&'a str; N]) -> Self {
        Param::Texts(Cow::Borrowed(value))
    }
}

impl From<Vec<i64>> for Param<'_> {
    fn from(value: Vec<i64>) -> Self {
        Param::Ints(Cow::Owned(value))
    }
}

impl<'a> From<Vec<&'a str>> for Param<'a> {
    fn from(value: Vec<&'a str>) -> Self {
        Param::Texts(Cow::Owned(value))
    }
}

impl<'a, T> From<Option<T>> for Param<'a>
where
    Param<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Param::from)
    }
}
