//! The fields of a request: what is wrong with them is collected, to be told all at once, and what was read of them comes
//! out only where nothing is wrong.
//!
//! 1. Whoever reads a field notes in [`Fields`] what is wrong with it, and has a [`Read`] of it, which does not open.
//! 2. [`Fields::finish`] takes all that was read, and answers the values, or what is wrong.
//!
//! So nobody can go on with a default where a field could not be read: "not narrowed" where a restriction was misspelled.

use crate::error::{Error, FieldError};

/// What is wrong with the fields of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    errors: Vec<FieldError>,
}

/// What was read of a field, or of several; closed until [`Fields::finish`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Read<T>(Option<T>);

impl<T> Read<T> {
    /// A value that is right, whatever the request says.
    pub const fn of(value: T) -> Self {
        Self(Some(value))
    }

    /// The same, made into something else.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Read<U> {
        Read(self.0.map(make))
    }
}

impl Fields {
    /// Notes that a field is wrong, and why.
    pub fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// What was read of a field, or why it is wrong.
    pub fn read<T>(&mut self, field: &str, read: Result<T, impl Into<String>>) -> Read<T> {
        Read(read.map_err(|message| self.refuse(field, message)).ok())
    }

    /// Whether something is wrong with this field.
    #[must_use]
    pub fn is_wrong(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    /// What was read, where nothing is wrong.
    pub fn finish<R: Together>(self, read: R) -> Result<R::Values, Error> {
        match read.together().0 {
            Some(values) if self.errors.is_empty() => Ok(values),
            _ => Err(Error::invalid(self.errors)),
        }
    }
}

/// Several that were read, as one.
pub trait Together {
    /// Their values.
    type Values;

    /// All of them, if all could be read.
    fn together(self) -> Read<Self::Values>;
}

impl<T> Together for Read<T> {
    type Values = T;

    fn together(self) -> Self {
        self
    }
}

macro_rules! together {
    ($(($($name:ident)*))*) => {$(
        impl<$($name),*> Together for ($(Read<$name>,)*) {
            type Values = ($($name,)*);

            #[allow(non_snake_case, clippy::unused_unit)]
            fn together(self) -> Read<Self::Values> {
                let ($($name,)*) = self;
                let all = move || Some(($($name.0?,)*));
                Read(all())
            }
        }
    )*};
}

together! { () (A B) (A B C) (A B C D) (A B C D E) }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_where_nothing_is_wrong() {
        let mut fields = Fields::default();
        let one = fields.read("one", Ok::<_, &str>(1));
        assert_eq!(fields.finish((one, Read::of("two"))).unwrap(), (1, "two"));
        assert_eq!(Fields::default().finish(()).unwrap(), ());
    }

    #[test]
    fn nothing_comes_out_where_something_is_wrong() {
        let mut fields = Fields::default();
        let one = fields.read("one", Err::<u8, _>("is wrong"));
        let two = fields.read("two", Ok::<_, &str>(2));
        assert!(fields.is_wrong("one") && !fields.is_wrong("two"));
        let error = fields.clone().finish((one, two)).unwrap_err();
        assert_eq!(
            error.fields(),
            [FieldError { field: "one".into(), message: "is wrong".into() }]
        );
        // Even what has nothing to do with it.
        assert!(fields.finish(Read::of(3)).is_err());
    }
}
