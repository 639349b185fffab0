//! What a person is called now, as Keycloak last said it: never what a token said at its issue, which may be somebody
//! else's name by now.

/// The name at login and the email address of a person, as copies or borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<S = String> {
    /// The name at login.
    pub username: S,
    /// The email address; `None`: nobody has asked Keycloak yet.
    pub email: Option<Email<S>>,
}

impl Names {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Names<&str> {
        let email = self.email.as_ref();
        let email = email.map(|email| Email { address: &*email.address, verified: email.verified });
        Names { username: &self.username, email }
    }
}

impl Names<&str> {
    /// The same, as copies.
    #[must_use]
    pub fn to_owned(self) -> Names {
        let copied = |email: Email<&str>| Email {
            address: email.address.to_owned(),
            verified: email.verified,
        };
        Names { username: self.username.to_owned(), email: self.email.map(copied) }
    }
}

/// An email address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Email<S = String> {
    /// The address; empty: the person has none.
    pub address: S,
    /// Whether Keycloak says that it is theirs.
    pub verified: bool,
}
