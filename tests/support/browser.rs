//! A person's browser: cookies, redirects, and forms that are filled in and sent.

use std::collections::BTreeMap;

use reqwest::{Method, Response};
use serde_json::Value;
use url::Url;

use super::http;

/// Where a walk ended.
#[derive(Debug)]
pub enum Stop {
    /// A page of Keycloak's.
    Page { url: Url, status: u16, html: String },
    /// A redirect to somewhere else, which is not followed.
    Away(Url),
}

pub struct Browser {
    home: Url,
    /// By path and name.
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    /// A browser that stays with this server.
    pub fn new(home: &str) -> Self {
        Self { home: home.parse().unwrap(), cookies: BTreeMap::new() }
    }

    /// What an administrator's browser has after a click on "Impersonate".
    pub async fn impersonate(&mut self, url: &str, administrator: &str) -> Value {
        let answer = http().post(url).bearer_auth(administrator).send().await.unwrap();
        self.keep_cookies(&answer);
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    pub async fn open(&mut self, url: &str) -> Stop {
        self.walk(Method::GET, url.parse().unwrap(), &BTreeMap::new()).await
    }

    /// Sends the page's form, its hidden fields with it.
    pub async fn send_form(&mut self, page: Stop, fields: &[(&str, &str)]) -> Stop {
        let Stop::Page { url, html, .. } = page else { panic!("no page: {page:?}") };
        let form = html.split("<form").nth(1).unwrap_or_else(|| panic!("no form: {html}"));
        let (form, _) = form.split_once("</form>").unwrap();
        let action = attribute(form, "action").unwrap_or_else(|| panic!("no action: {form}"));
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for input in form.split("<input").skip(1) {
            let input = input.split('>').next().unwrap();
            if attribute(input, "type").as_deref() == Some("hidden") {
                let value = attribute(input, "value").unwrap_or_default();
                all.insert(attribute(input, "name").unwrap(), value);
            }
        }
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.walk(Method::POST, url.join(&action).unwrap(), &all).await
    }

    async fn walk(&mut self, method: Method, url: Url, form: &BTreeMap<String, String>) -> Stop {
        let (mut method, mut url) = (method, url);
        for _ in 0..10 {
            let sent = self.cookies.iter().filter(|((path, _), _)| url.path().starts_with(path));
            let cookies: Vec<_> =
                sent.map(|((_, name), value)| format!("{name}={value}")).collect();
            let mut request =
                http().request(method.clone(), url.clone()).header("Cookie", cookies.join("; "));
            if method == Method::POST {
                request = request.form(form);
            }
            let answer = request.send().await.unwrap();
            self.keep_cookies(&answer);
            if !answer.status().is_redirection() {
                let status = answer.status().as_u16();
                return Stop::Page { url, status, html: answer.text().await.unwrap() };
            }
            url = url.join(answer.headers()["location"].to_str().unwrap()).unwrap();
            if url.origin() != self.home.origin() {
                return Stop::Away(url);
            }
            method = Method::GET;
        }
        panic!("too many redirects, the last to {url}");
    }

    fn keep_cookies(&mut self, answer: &Response) {
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let path = cookie.split(';').find_map(|part| part.trim().strip_prefix("Path="));
            let key = (path.unwrap_or("/").to_owned(), name.to_owned());
            if value.is_empty() || cookie.contains("Max-Age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }
}

/// The value of an attribute in the text of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}
