//! Query parameters: each at most once, none unknown.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::check::{moment, unknown};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::fields::Fields;
use crate::http::problem::Problem;
use crate::page::{Direction, PageRequest};

/// No query parameters at all.
pub(in crate::http) struct NoQuery;

impl FromRequestParts<App> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut query = Query::parse(parts);
        query.finish()?;
        Ok(Self)
    }
}

const MAX_TEXT: usize = 255;

/// Query parameters: each at most once, none unknown.
pub(in crate::http) struct Query {
    parameters: Vec<(String, String)>,
    /// The names that were asked about.
    known: Vec<&'static str>,
    fields: Fields,
}

impl Query {
    pub(in crate::http) fn parse(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let parameters = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { parameters, known: Vec::new(), fields: Fields::default() }
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut found = Vec::new();
        self.parameters.retain(|(parameter, value)| {
            let matches = parameter == name;
            if matches {
                found.push(value.clone());
            }
            !matches
        });
        if found.len() > 1 {
            self.fields.refuse(name, "is given more than once");
        }
        found.pop()
    }

    fn number(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let text = self.take(name)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let message =
                format!("must be a whole number from {} to {}", range.start(), range.end());
            self.fields.refuse(name, message);
        }
        number
    }

    /// Which page of a list.
    pub(in crate::http) fn page(&mut self) -> PageRequest {
        let offset = self.number("offset", 0..=u32::MAX).unwrap_or(0);
        let limit = self.number("limit", 1..=PageRequest::MAX_LIMIT);
        PageRequest { offset, limit: limit.unwrap_or(PageRequest::DEFAULT_LIMIT) }
    }

    /// What a list is searched for.
    pub(in crate::http) fn search(&mut self) -> String {
        self.text("search").unwrap_or_default()
    }

    /// Text to look for; a NUL is in no text, and cannot be asked for on PostgreSQL.
    pub(in crate::http) fn text(&mut self, name: &'static str) -> Option<String> {
        let text = self.take(name)?;
        if text.contains('\0') || text.chars().count() > MAX_TEXT {
            self.fields.refuse(name, "must have at most 255 characters, and no NUL");
        }
        Some(text)
    }

    /// A moment.
    pub(in crate::http) fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        moment(&self.take(name)?).map_err(|message| self.fields.refuse(name, message)).ok()
    }

    /// By what a list is ordered, and which way. Default: `newest`, newest first; with `sort` alone,
    /// the smallest first.
    pub(in crate::http) fn order<T: Copy>(
        &mut self,
        choices: &[(&'static str, T)],
        newest: T,
    ) -> (T, Direction) {
        let sort = self.choice("sort", choices);
        let implied = if sort.is_some() { Direction::Ascending } else { Direction::Descending };
        (sort.unwrap_or(newest), self.direction().unwrap_or(implied))
    }

    /// Upwards or downwards.
    pub(in crate::http) fn direction(&mut self) -> Option<Direction> {
        self.choice("direction", &[("asc", Direction::Ascending), ("desc", Direction::Descending)])
    }

    /// One of these words.
    pub(in crate::http) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.take(name)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.fields.refuse(name, format!("must be one of {}", words.join(", ")));
        }
        found
    }

    pub(in crate::http) fn finish(&mut self) -> Result<(), Error> {
        for (name, _) in std::mem::take(&mut self.parameters) {
            self.fields.refuse(&name, unknown("parameter", &name, &self.known));
        }
        std::mem::take(&mut self.fields).finish(())
    }
}
