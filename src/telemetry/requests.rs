//! Requests, by method, route pattern and status class. A request costs a few atomic operations and no lock.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram};

use super::{Family, Metrics};

const COUNT: Family = Family {
    name: "hallpass_http_requests_total",
    help: "Requests answered, by method, route pattern and class of status.",
};
const DURATION: Family = Family {
    name: "hallpass_http_request_duration_seconds",
    help: "From the head of a request to the head of its answer, by method and route pattern.",
};

/// The methods that get a label of their own; whoever invents another is counted with the last.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const OTHER: &str = "other";
/// What no route matches.
const UNMATCHED: &str = "unmatched";
/// Far more than there are routes; those beyond would be counted together.
const ROUTES: usize = 256;

/// The requests of one service.
pub struct Requests {
    metrics: Metrics,
    /// A table that is only ever filled: a pattern stands at the place of its hash, or the next one that was free.
    routes: Box<[OnceLock<Route>]>,
    others: Route,
}

struct Route {
    pattern: Box<str>,
    methods: [OnceLock<Series>; METHODS.len()],
}

struct Series {
    duration: Histogram,
    classes: [OnceLock<Counter>; CLASSES.len()],
}

impl Requests {
    /// None yet.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        let routes = (0..ROUTES).map(|_| OnceLock::new()).collect();
        Self { metrics, routes, others: Route::new(OTHER) }
    }

    /// Counts a request that was answered. `pattern` is the route's, and `None` where none matches.
    pub fn count(&self, method: &str, pattern: Option<&str>, status: u16, duration: Duration) {
        let route = self.route(pattern.unwrap_or(UNMATCHED));
        let known = METHODS.iter().position(|known| *known == method);
        let method = known.unwrap_or(METHODS.len() - 1);
        let labels = [("method", METHODS[method]), ("route", &*route.pattern)];
        let series = route.methods[method].get_or_init(|| Series {
            duration: self.metrics.durations(DURATION, &labels),
            classes: Default::default(),
        });
        series.duration.record(duration);
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        let counter = series.classes[class].get_or_init(|| {
            let [method, route] = labels;
            self.metrics.counter(COUNT, &[method, route, ("status", CLASSES[class])])
        });
        counter.increment(1);
    }

    fn route(&self, pattern: &str) -> &Route {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(pattern);
        let place = usize::try_from(hash % ROUTES as u64).unwrap_or_default();
        let (before, after) = self.routes.split_at(place);
        let mut routes =
            after.iter().chain(before).map(|route| route.get_or_init(|| Route::new(pattern)));
        routes.find(|route| &*route.pattern == pattern).unwrap_or(&self.others)
    }
}

impl Route {
    fn new(pattern: &str) -> Self {
        Self { pattern: pattern.into(), methods: Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(requests: &[(&str, Option<&str>, u16)]) -> Vec<String> {
        let counts = Requests::new(Metrics::default());
        for (method, pattern, status) in requests {
            counts.count(method, *pattern, *status, Duration::from_millis(1));
        }
        let text = counts.metrics.render();
        let lines = text.lines().filter_map(|line| line.strip_prefix(COUNT.name));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_a_caller_invents_is_no_label() {
        let lines = counted(&[
            ("GET", Some("/a/{id}"), 200),
            ("GET", Some("/a/{id}"), 204),
            ("GET", Some("/a/{id}"), 404),
            ("BREW", Some("/a/{id}"), 405),
            ("get", None, 404),
            ("GET", Some("/b"), 999),
        ]);
        assert_eq!(
            lines,
            [
                "{method=\"GET\",route=\"/a/{id}\",status=\"2xx\"} 2",
                "{method=\"GET\",route=\"/a/{id}\",status=\"4xx\"} 1",
                "{method=\"GET\",route=\"/b\",status=\"5xx\"} 1",
                "{method=\"other\",route=\"/a/{id}\",status=\"4xx\"} 1",
                "{method=\"other\",route=\"unmatched\",status=\"4xx\"} 1",
            ]
        );
    }

    #[test]
    fn there_is_an_end_to_the_routes() {
        let patterns: Vec<_> = (0..2 * ROUTES).map(|number| format!("/{number}")).collect();
        let requests: Vec<_> =
            patterns.iter().map(|pattern| ("GET", Some(pattern.as_str()), 200)).collect();
        let lines = counted(&requests);
        assert_eq!(lines.len(), ROUTES + 1);
        let others = format!("{{method=\"GET\",route=\"other\",status=\"2xx\"}} {ROUTES}");
        assert!(lines.contains(&others), "{lines:?}");
    }

    #[test]
    fn parallel_first_requests_are_all_counted() {
        let counts = Requests::new(Metrics::default());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..40 {
                        let pattern = format!("/{}", number % 4);
                        counts.count("GET", Some(&pattern), 200, Duration::ZERO);
                    }
                });
            }
        });
        let text = counts.metrics.render();
        for number in 0..4 {
            let line = format!("{{method=\"GET\",route=\"/{number}\",status=\"2xx\"}} 80");
            assert!(text.contains(&line), "{line}: {text}");
        }
    }
}
