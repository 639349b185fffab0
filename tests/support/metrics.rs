//! `/metrics`, read as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use super::Api;

/// One reading: each series, as `name{label="value",…}`, with its labels in order, and its value.
#[derive(Debug)]
pub struct Metrics {
    series: BTreeMap<String, f64>,
    /// Names by `# TYPE`, with `# HELP` before them.
    pub families: BTreeSet<String>,
    pub text: String,
}

impl Metrics {
    pub async fn of(api: &Api) -> Self {
        let answer = api.get("/metrics").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::parse(answer.text)
    }

    fn parse(text: String) -> Self {
        let (mut series, mut families, mut helped) =
            (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                helped.insert(rest.split_once(' ').unwrap().0);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (family, kind) = rest.split_once(' ').unwrap();
                assert!(helped.contains(family), "{family} has no help");
                assert_eq!(kind == "counter", family.ends_with("_total"), "{line}");
                assert!(families.insert(family.to_owned()), "{family} is there twice");
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let again = series.insert(name.to_owned(), value.parse().unwrap());
                assert!(again.is_none(), "{name} is there twice");
            }
        }
        Self { series, families, text }
    }

    /// The value of a series; 0 where it is not there yet.
    pub fn value(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }

    /// The values that a label has, in any series.
    pub fn values_of(&self, label: &str) -> BTreeSet<&str> {
        let begin = format!("{label}=\"");
        let values = self.series.keys().filter_map(|name| name.split_once(&begin));
        values.map(|(_, rest)| rest.split_once('"').unwrap().0).collect()
    }

    /// The labels, in any series.
    pub fn labels(&self) -> BTreeSet<&str> {
        let lists = self.series.keys().filter_map(|name| name.split_once('{'));
        let pairs = lists.flat_map(|(_, list)| list.trim_end_matches('}').split(','));
        pairs.map(|pair| pair.split_once('=').unwrap().0).collect()
    }
}
