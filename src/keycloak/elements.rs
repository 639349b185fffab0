//! The elements of a JSON array, as they come in: however long the array is, one element is held at a time, and of that
//! no more than its bound.
//!
//! Strings that are too long become `null`: what an administrator sent with an event, say. What is still too large is
//! cut, and no JSON then: its reader has to say what that means.

/// How much of an array is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Longer strings become `null`.
    string: usize,
    /// Larger elements are cut.
    element: usize,
}

impl Bounds {
    /// For what is read of an event: names, paths and ids have columns of a few kilobytes.
    pub(super) const EVENT: Self = Self { string: 16 * 1024, element: 64 * 1024 };
    /// For what is read whole, or not at all: clients and scopes with 50 addresses and mappers each.
    pub(super) const WHOLE: Self = Self::whole(256 * 1024);

    /// An element of up to so many bytes is as it is.
    pub(super) const fn whole(element: usize) -> Self {
        Self { string: usize::MAX, element }
    }
}

/// Splits an array. What is not an array has no elements, and never ends.
pub(super) struct Elements {
    bounds: Bounds,
    place: Place,
    /// Brackets and braces that are open within the element.
    depth: usize,
    element: Vec<u8>,
    /// Where the string began that is being read, and how long it is.
    string: Option<(usize, usize)>,
    escaped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space so far.
    Before,
    Within,
    After,
    /// It is no array, or something follows it.
    Lost,
}

impl Elements {
    pub(super) const fn within(bounds: Bounds) -> Self {
        Self {
            bounds,
            place: Place::Before,
            depth: 0,
            element: Vec::new(),
            string: None,
            escaped: false,
        }
    }

    /// Takes what came in, and gives out the elements that it ends.
    pub(super) fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        for &byte in bytes {
            match self.place {
                _ if self.string.is_some() => self.take_string(byte),
                Place::Before | Place::After if byte.is_ascii_whitespace() => {}
                Place::Before if byte == b'[' => self.place = Place::Within,
                Place::Within => self.take_within(byte, &mut each),
                _ => self.place = Place::Lost,
            }
        }
    }

    /// Whether the array came to its end, and nothing after it.
    pub(super) fn is_whole(&self) -> bool {
        self.place == Place::After
    }

    fn take_within(&mut self, byte: u8, each: &mut impl FnMut(&[u8])) {
        match byte {
            b'"' => {
                self.string = Some((self.element.len(), 0));
                self.keep(byte);
            }
            b']' | b'}' if self.depth > 0 => {
                self.depth -= 1;
                self.keep(byte);
            }
            b',' | b']' if self.depth == 0 => {
                if !self.element.is_empty() {
                    each(&self.element);
                    self.element.clear();
                }
                if byte == b']' {
                    self.place = Place::After;
                }
            }
            b'}' => self.place = Place::Lost,
            b'[' | b'{' => {
                self.depth += 1;
                self.keep(byte);
            }
            _ if byte.is_ascii_whitespace() => {}
            _ => self.keep(byte),
        }
    }

    fn take_string(&mut self, byte: u8) {
        let Some((begin, length)) = &mut self.string else { return };
        *length += 1;
        let (begin, fits) = (*begin, *length <= self.bounds.string);
        if fits {
            self.keep(byte);
        }
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.string = None;
            if !fits {
                self.element.truncate(begin);
                for &byte in b"null" {
                    self.keep(byte);
                }
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.element.len() < self.bounds.element {
            self.element.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The elements, where what came in was an array; it comes in pieces of this size.
    fn split(text: &str, piece: usize) -> Option<Vec<String>> {
        split_within(Bounds::EVENT, text, piece)
    }

    fn split_within(bounds: Bounds, text: &str, piece: usize) -> Option<Vec<String>> {
        let (mut elements, mut found) = (Elements::within(bounds), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            elements.take(bytes, |element| found.push(String::from_utf8_lossy(element).into()));
        }
        elements.is_whole().then_some(found)
    }

    fn parsed(elements: &[String]) -> Vec<Value> {
        elements.iter().map(|element| serde_json::from_str(element).unwrap()).collect()
    }

    #[test]
    fn what_is_no_array_never_ends() {
        for text in
            ["", "{}", "[", "[1", "[1,2", "[\"]\"", "[{]", "[}", "[]]", "[] x", "x[]", "<html>"]
        {
            assert_eq!(split(text, 1), None, "{text}");
        }
        for text in ["[]", " [ ] \n"] {
            assert_eq!(split(text, 1), Some(vec![]), "{text}");
        }
    }

    #[test]
    fn a_string_that_is_too_long_is_null_and_the_rest_is_as_it_was() {
        let quotes = "\"\\é".repeat(Bounds::EVENT.string);
        let array = json!([{"id": "a", "sent": quotes, "time": 1}, {"id": "b", "sent": "[{\"]"}]);
        for piece in [1, 7, 1 << 20] {
            let found = split(&array.to_string(), piece).unwrap();
            let expected = [json!({"id": "a", "sent": null, "time": 1}), array[1].clone()];
            assert_eq!(parsed(&found), expected);
        }
    }

    #[test]
    fn of_an_element_that_is_too_large_the_beginning_is_held() {
        let many = vec!["x"; Bounds::EVENT.element];
        let found = split(&json!([{"id": "a", "z": many}, {"id": "b"}]).to_string(), 4096).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].len(), Bounds::EVENT.element);
        assert!(found[0].starts_with(r#"{"id":"a""#) && found[1] == r#"{"id":"b"}"#);
    }

    #[test]
    fn what_is_read_whole_is_as_it_is_or_no_json() {
        let element = |length: usize| json!({"id": "a", "z": "x".repeat(length), "y": 1});
        let bounds = Bounds::whole(element(100).to_string().len());
        let array = json!([element(100), element(101), element(5_000), {"id": "b"}]);
        let found = split_within(bounds, &array.to_string(), 7).unwrap();
        let read: Vec<_> =
            found.iter().map(|element| serde_json::from_str::<Value>(element).ok()).collect();
        assert_eq!(read, [Some(element(100)), None, None, Some(json!({"id": "b"}))]);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[\"\\\\{}\\[\\], a-zé]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[\"{}\\[\\],a]{0,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_array_in_pieces_has_the_elements_that_it_has(
            array in prop::collection::vec(any_json(), 0..5), piece in 1_usize..9, pretty: bool,
        ) {
            let text = if pretty {
                serde_json::to_string_pretty(&array).unwrap()
            } else {
                serde_json::to_string(&array).unwrap()
            };
            let found = split(&text, piece).unwrap();
            prop_assert_eq!(parsed(&found), array);
        }
    }
}
