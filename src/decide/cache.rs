//! What was found out about tokens, by the SHA-256 of the whole token: another spelling is another token.
//!
//! 1. Good ones: the outcome of the signature and what was prepared from the claims. Never whether the token is good
//!    *now*: that is asked each time.
//! 2. Refused ones, apart and for seconds, so that rubbish cannot drive out what is good. Only final verdicts: never an
//!    unknown key or a failed call.
//! 3. Several requests with the same new token have it checked once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use moka::future::Cache;

use super::reason::Reason;
use super::token::Token;
use super::{Failure, Refusal};

/// Bytes of prepared tokens; some twenty thousand of a usual size.
const MAX_GOOD: u64 = 64 * 1024 * 1024;
/// Nothing of a token changes; but what nobody uses need not stay.
const GOOD_FOR: Duration = Duration::from_mins(5);
/// Refused tokens, a hundred bytes each.
const MAX_REFUSED: u64 = 10_000;
const REFUSED_FOR: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Tokens {
    good: Cache<Hash, Arc<Token>>,
    /// With the generation of keys that it was found under: a key that was a stranger's may be ours by now.
    refused: Cache<Hash, (Reason, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    pub(super) fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }
}

/// How full the caches are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// How many tokens are prepared.
    pub good: u64,
    /// Their bytes, roughly.
    pub good_bytes: u64,
    /// How many refused ones are remembered.
    pub refused: u64,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            good: Cache::builder()
                .max_capacity(MAX_GOOD)
                .weigher(|_, token: &Arc<Token>| token.weight())
                .time_to_live(GOOD_FOR)
                .build(),
            refused: Cache::builder().max_capacity(MAX_REFUSED).time_to_live(REFUSED_FOR).build(),
        }
    }

    pub(super) async fn find(&self, hash: &Hash) -> Option<Arc<Token>> {
        self.good.get(hash).await
    }

    pub(super) async fn find_refused(&self, hash: &Hash, generation: u64) -> Option<Reason> {
        let (reason, found_under) = self.refused.get(hash).await?;
        (found_under == generation).then_some(reason)
    }

    pub(super) async fn forget(&self, hash: &Hash) {
        self.good.invalidate(hash).await;
    }

    /// What `check` finds out, which is run once for all who ask meanwhile.
    pub(super) async fn find_out(
        &self,
        hash: Hash,
        generation: u64,
        check: impl Future<Output = Result<Token, Refusal>>,
    ) -> Result<Arc<Token>, Refusal> {
        let checked = async { check.await.map(Arc::new) };
        let found = self.good.try_get_with(hash, checked).await;
        let refusal = match found {
            Ok(token) => return Ok(token),
            Err(refusal) => (*refusal).clone(),
        };
        if let Refusal::Because(reason) = refusal
            && is_final(reason)
        {
            self.refused.insert(hash, (reason, generation)).await;
        }
        Err(refusal)
    }

    pub(super) async fn fill(&self) -> Fill {
        self.good.run_pending_tasks().await;
        self.refused.run_pending_tasks().await;
        Fill {
            good: self.good.entry_count(),
            good_bytes: self.good.weighted_size(),
            refused: self.refused.entry_count(),
        }
    }
}

/// Whether it will be so for as long as it is remembered. A key may be published, and a token from the future begin.
const fn is_final(reason: Reason) -> bool {
    !matches!(reason, Reason::UnknownKey | Reason::NotYetValid)
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
