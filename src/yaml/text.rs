//! Texts with placeholders, e.g. `tcpechod {port}`, and the values that replace them.

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Deref, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Stands for the number of the repetition, inside `times`.
const COUNTER: &str = "{n}";

/// A text as written, and where its placeholders are: `{name}`, where the name has no braces other than those of `{n}`,
/// as in `{client{n}}`. Other braces belong to the shell or the program, and stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    source: String,
    /// Their places with the braces, in bytes of the source.
    placeholders: Vec<Range<usize>>,
}

/// The values of placeholders.
#[derive(Clone, Copy, Debug)]
pub struct Values<'v> {
    named: &'v BTreeMap<String, String>,
    /// The number of the repetition, from 1.
    n: Option<usize>,
}

/// Something with placeholders, which can be filled in.
pub trait Bind {
    /// The same type without placeholders.
    type Bound;

    /// Fills in the values. A placeholder without a value stays as written.
    fn bind(&self, values: Values<'_>) -> Self::Bound;
}

/// Implements [`Bind`] for a struct that is generic over its texts. The fields with placeholders come before the
/// semicolon.
macro_rules! bind {
    ($type:ident { $($text:ident),* $(; $($rest:ident),*)? }) => {
        impl $crate::yaml::Bind for $type<$crate::yaml::Text> {
            type Bound = $type;

            fn bind(&self, values: $crate::yaml::Values<'_>) -> $type {
                let Self { $($text,)* $($($rest,)*)? } = self.clone();
                $type { $($text: $text.bind(values),)* $($($rest,)*)? }
            }
        }
    };
}
pub(crate) use bind;

impl Text {
    /// Parses a text as a person writes it.
    pub fn parse(source: impl Into<String>) -> Self {
        let source = source.into();
        let mut placeholders = Vec::new();
        let mut at = 0;
        while let Some(open) = source[at..].find('{').map(|n| at + n) {
            at = open + 1;
            if let Some(length) = name_length(&source[at..]) {
                at += length + 1;
                placeholders.push(open..at);
            }
        }
        Self { source, placeholders }
    }

    /// The names between the braces.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.placeholders.iter().map(|at| &self.source[at.start + 1..at.end - 1])
    }

    /// What comes before and after the counter, if there is one.
    pub fn around_counter(&self) -> Option<(&str, &str)> {
        self.source.split_once(COUNTER)
    }

    /// The text in that repetition.
    pub fn counted(&self, n: usize) -> Cow<'_, str> {
        if self.source.contains(COUNTER) {
            self.source.replace(COUNTER, &n.to_string()).into()
        } else {
            self.source.as_str().into()
        }
    }
}

/// The length in bytes of the placeholder name that a text begins with, up to the closing brace.
fn name_length(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find(['{', '}'])?;
        match &text[at..] {
            rest if rest.starts_with('}') => return Some(at),
            rest if rest.starts_with(COUNTER) => at += COUNTER.len(),
            _ => return None,
        }
    }
}

impl<'v> Values<'v> {
    /// Values by the names of their placeholders.
    pub fn new(named: &'v BTreeMap<String, String>) -> Self {
        Self { named, n: None }
    }

    /// The values in that repetition, from 1.
    #[must_use]
    pub fn repetition(self, n: usize) -> Self {
        Self { n: Some(n), ..self }
    }

    /// What replaces `{name}`.
    fn of(self, name: &str) -> String {
        let name = match self.n {
            Some(n) if name == "n" => return n.to_string(),
            Some(n) => Cow::from(name.replace(COUNTER, &n.to_string())),
            None => name.into(),
        };
        self.named.get(&*name).cloned().unwrap_or_else(|| format!("{{{name}}}"))
    }
}

impl Bind for Text {
    type Bound = String;

    fn bind(&self, values: Values<'_>) -> String {
        let mut bound = String::with_capacity(self.source.len());
        let mut at = 0;
        for (place, name) in self.placeholders.iter().zip(self.placeholders()) {
            bound += &self.source[at..place.start];
            bound += &values.of(name);
            at = place.end;
        }
        bound + &self.source[at..]
    }
}

impl<B: Bind> Bind for Option<B> {
    type Bound = Option<B::Bound>;

    fn bind(&self, values: Values<'_>) -> Self::Bound {
        self.as_ref().map(|inner| inner.bind(values))
    }
}

impl<B: Bind> Bind for Vec<B> {
    type Bound = Vec<B::Bound>;

    fn bind(&self, values: Values<'_>) -> Self::Bound {
        self.iter().map(|item| item.bind(values)).collect()
    }
}

/// As written.
impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.source.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::parse)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str, n: Option<usize>) -> String {
        let named =
            [("port", "8002"), ("server", "{port}"), ("client2", "pc2")].map(|(k, v)| (k.into(), v.into()));
        Text::parse(text).bind(Values { named: &BTreeMap::from(named), n })
    }

    #[test]
    fn placeholders_are_filled_in_and_other_braces_stay() {
        assert_eq!(bound("a {port} {x} {port", None), "a 8002 {x} {port");
        assert_eq!(bound("awk '{print}' {} {{port}} }{ ${HOME}", None), "awk '{print}' {} {8002} }{ ${HOME}");
        assert_eq!(bound("", None), "");
    }

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        assert_eq!(bound("{server}", None), "{port}");
    }

    #[test]
    fn repetitions_are_counted_also_inside_of_a_name() {
        assert_eq!(bound("c{n} of {client{n}}", Some(2)), "c2 of pc2");
        assert_eq!(bound("{client{n}} {{n}}", Some(3)), "{client3} {3}");
        assert_eq!(bound("c{n} of {client{n}}", None), "c{n} of {client{n}}");
    }

    #[test]
    fn placeholders_have_names() {
        let names = |text| Text::parse(text).placeholders().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names("{server}:{port} {{x} {client{n}} {"), ["server", "port", "x", "client{n}"]);
    }
}
