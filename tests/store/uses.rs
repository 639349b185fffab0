//! When and from where tokens were last used.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hallpass::clock::Timestamp;
use hallpass::id::PatId;
use hallpass::store::TokenUse;
use sqlx::Row as _;

use super::{Fresh, NOW, on_each};

/// More than two statements take.
const MANY: u32 = 510;

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0xc000_0200 + number))
}

fn at(number: u32) -> Timestamp {
    NOW.plus(Duration::from_millis(number.into()))
}

/// When and from where the store says that tokens were used, in the order of their ids.
async fn recorded(fresh: &Fresh) -> Vec<(Option<i64>, Option<String>)> {
    let rows = fresh.rows("SELECT last_used_at, last_used_ip FROM tokens ORDER BY pat_id").await;
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn each_of_many_is_recorded_and_what_is_later_stays() {
    on_each!(|fresh| {
        let mut uses = Vec::new();
        for number in 0..MANY {
            let pat_id = fresh.create("alice", &format!("token-{number}")).await.pat_id;
            uses.push(TokenUse { pat_id, at: at(number), address: address(number) });
        }
        // One that is gone by now, in the middle.
        let gone = TokenUse { pat_id: PatId::new(NOW), at: NOW, address: address(0) };
        uses.insert(300, gone);
        for _ in 0..2 {
            fresh.store.record_uses(&uses).await.unwrap();
            let expected = |number| (Some(at(number).millis()), Some(address(number).to_string()));
            assert_eq!(recorded(&fresh).await, (0..MANY).map(expected).collect::<Vec<_>>());
        }
        // An earlier use that another process writes later.
        let late = TokenUse { at: at(0), address: address(999), ..uses[9] };
        fresh.store.record_uses(&[late]).await.unwrap();
        assert_eq!(recorded(&fresh).await[9].1, Some(address(9).to_string()));
        fresh.store.record_uses(&[]).await.unwrap();
    });
}
