//! Names with values: the query, the form, the headers and the route parameters of an HTTP request.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use crate::failure::{Failure, Result};

/// Names with values, in order: the query, the form, the headers or the route parameters of a [`Request`](crate::Request).
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// let request = Request::new("GET", "http://localhost:7071/api/orders?item=lamp&item=chair&page=2");
/// assert_eq!(request.query().get("page"), Some("2"));
/// assert_eq!(request.query().get_all("item").collect::<Vec<_>>(), ["lamp", "chair"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    pub(crate) fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Reads the form of a query: `a=1&b=two+words&c=%C3%A4`.
    pub(crate) fn parse_form(text: &str) -> Self {
        let parts = text.split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
        Self(pairs.map(|(name, value)| (unescaped(name), unescaped(value))).collect())
    }

    /// Returns the first value with this name, compared ignoring case.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("GET", "http://localhost/").with_header("Accept", "text/html");
    /// assert_eq!(request.headers().get("ACCEPT"), Some("text/html"));
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Returns all values with this name, compared ignoring case.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("GET", "http://localhost/?id=1&id=2");
    /// assert_eq!(request.query().get_all("id").count(), 2);
    /// ```
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns all names with their values.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("GET", "http://localhost/?id=1&page=2");
    /// assert_eq!(request.query().iter().collect::<Vec<_>>(), [("id", "1"), ("page", "2")]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert!(Request::new("GET", "http://localhost/").query().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Converts to a type with a member for each name, spelled exactly like it. A member may be a text, a number, a boolean, an
    /// enum without data, an `Option` of these, or a `Vec` of these for a name that is repeated. Fails with `BadRequest`.
    ///
    /// ```
    /// use dacapo_sdk::prelude::*;
    ///
    /// #[derive(Deserialize)]
    /// struct Search {
    ///     page: u32,
    ///     item: Vec<String>,
    ///     color: Option<String>,
    /// }
    ///
    /// let request = Request::new("GET", "http://localhost/api/orders?item=lamp&item=chair&page=2");
    /// let search: Search = request.query().parse()?;
    /// assert_eq!((search.page, search.item.len(), search.color), (2, 2, None));
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let mut grouped: Vec<(&str, Values<'_>)> = Vec::new();
        for (name, value) in self.iter() {
            match grouped.iter_mut().find(|(known, _)| *known == name) {
                Some((_, Values(values))) => values.push(value),
                None => grouped.push((name, Values(vec![value]))),
            }
        }
        let map = MapDeserializer::<_, serde::de::value::Error>::new(grouped.into_iter());
        T::deserialize(map).map_err(|error| bad_request(format!("the parameters of the request cannot be read: {error}")))
    }
}

/// A mistake of the client.
pub(crate) fn bad_request(message: impl Into<String>) -> Failure {
    Failure::new(BAD_REQUEST, message).not_retriable()
}

pub(crate) const BAD_REQUEST: &str = "BadRequest";

/// The values of one name. A single one becomes what the type asks for.
struct Values<'a>(Vec<&'a str>);

impl<'de, 'a: 'de> IntoDeserializer<'de> for Values<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
                let value = self.one()?;
                let wrong = |_| Self::Error::custom(format_args!("`{value}` is not a {}", stringify!($type)));
                visitor.$visit(value.parse::<$type>().map_err(wrong)?)
            }
        )*
    };
}

impl<'a> Values<'a> {
    fn one(&self) -> Result<&'a str, serde::de::value::Error> {
        match self.0.as_slice() {
            [one] => Ok(one),
            several => Err(serde::de::Error::custom(format_args!("one value is expected where there are {}", several.len()))),
        }
    }
}

impl<'de, 'a: 'de> Deserializer<'de> for Values<'a> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.one()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter().map(|value| Values(vec![value]))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self.one()?.into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    parsed! {
        deserialize_bool visit_bool bool
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
        deserialize_f32 visit_f32 f32
        deserialize_f64 visit_f64 f64
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
    }
}

/// Undoes the encoding of a form. What is not valid is left as it is; invalid UTF-8 is replaced.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn fields(text: &str) -> Vec<(String, String)> {
        Fields::parse_form(text).0
    }

    #[test]
    fn forms_are_taken_apart() {
        let check = |text, expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(fields(text), expected, "{text}");
        };
        check("", &[]);
        check("a=1&b=two+words&c=%C3%A4%2B", &[("a", "1"), ("b", "two words"), ("c", "ä+")]);
        check("a&&=b&a=x=y", &[("a", ""), ("", "b"), ("a", "x=y")]);
        check("a=%&b=%4&c=%zz&d=%ff", &[("a", "%"), ("b", "%4"), ("c", "%zz"), ("d", "\u{fffd}")]);
    }

    #[test]
    fn fields_become_a_type() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Color {
            Red,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Id(u64);
        #[derive(Debug, PartialEq, Deserialize)]
        struct All {
            id: Id,
            ratio: Option<f64>,
            color: Color,
            exact: bool,
            tag: Vec<i8>,
            name: String,
            missing: Option<String>,
        }
        let form = "id=7&ratio=0.5&color=red&exact=true&tag=1&tag=-2&name=x+y&unknown=1&unknown=2";
        let expected = All {
            id: Id(7),
            ratio: Some(0.5),
            color: Color::Red,
            exact: true,
            tag: vec![1, -2],
            name: "x y".to_owned(),
            missing: None,
        };
        assert_eq!(Fields::parse_form(form).parse::<All>(), Ok(expected));
    }

    #[test]
    fn wrong_fields_are_told() {
        #[derive(Debug, Deserialize)]
        struct Page {
            #[expect(dead_code)]
            page: u8,
        }
        let check = |form: &str, why: &str| {
            let failure = Fields::parse_form(form).parse::<Page>().unwrap_err();
            assert!(failure.is("BadRequest") && !failure.retriable);
            assert_eq!(failure.message, format!("the parameters of the request cannot be read: {why}"));
        };
        check("", "missing field `page`");
        check("page=300", "`300` is not a u8");
        check("page=1&page=2", "one value is expected where there are 2");
    }
}
