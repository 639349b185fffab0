//! `hallpass bootstrap`, on real realms.
