//! What a person is called now, as Keycloak last said it: never what a token said at its issue, which may be somebody
//! else's name by now.

/// The name at login and the email address of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The name at login.
    pub username: String,
    /// The email address; `None`: nobody has asked Keycloak yet.
    pub email: Option<Email>,
}

/// An email address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Email {
    /// The address; empty: the person has none.
    pub address: String,
    /// Whether Keycloak says that it is theirs.
    pub verified: bool,
}
