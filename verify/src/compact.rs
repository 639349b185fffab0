//! The outer form of a token: three segments and the header (RFC 7515 §7.1, §4), before anything is
//! believed.

use aws_lc_rs::digest::Digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::Rejection;
use crate::json;

/// Longest token, in bytes, unless the [`Rules`](crate::Rules) say otherwise.
pub const DEFAULT_MAX_BYTES: usize = 16 * 1024;

/// Algorithms that a token may name: all of public-key type.
pub(crate) const PERMITTED: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

const MAX_KID: usize = 200;

/// What a token says of its own signature. Nobody vouches for it yet: it serves to find the key,
/// nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedHeader {
    /// The algorithm, of public-key type.
    pub alg: Algorithm,
    /// The name of the key: 1 to 200 visible ASCII characters.
    pub kid: String,
}

impl UnverifiedHeader {
    fn from_json(json: &[u8]) -> Result<Self, Rejection> {
        let (known, _) =
            json::parse_members(json, ["alg", "typ", "kid", "crit"]).ok_or(Rejection::Malformed)?;
        let [alg, typ, kid, crit] = known;
        if crit.is_some() {
            return Err(Rejection::Malformed);
        }
        let alg: Algorithm = match text(alg)?.parse() {
            Ok(alg) if PERMITTED.contains(&alg) => alg,
            _ => return Err(Rejection::Algorithm),
        };
        if let Some(typ) = typ {
            let typ = text(Some(typ))?;
            // A media type: case does not matter (RFC 7515 §4.1.9).
            if !["JWT", "at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known)) {
                return Err(Rejection::Type);
            }
        }
        let kid = text(kid)?;
        if !is_kid(&kid) {
            return Err(Rejection::Malformed);
        }
        Ok(Self { alg, kid })
    }
}

/// A token taken apart. Only its header is read: most of what nobody vouches for shows there.
pub struct UnverifiedToken<'a> {
    pub(crate) header: UnverifiedHeader,
    pub(crate) signing_input: &'a str,
    /// The SHA-256 of the signing input, where somebody made it already.
    pub(crate) digest: Option<Digest>,
    payload: &'a str,
    signature: &'a str,
}

/// The octets of its other segments. The payload stays unread until the signature holds.
pub(crate) struct Segments {
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> UnverifiedToken<'a> {
    /// Takes `token` apart, which has at most `max_bytes` bytes, and reads its header. The form of the other two segments is
    /// checked with the signature.
    ///
    /// Keys that the header brings along or points at (`jwk`, `jku`, `x5c`, `x5u`) are never used
    /// (RFC 8725 §3.10), and a token with `crit` is refused: no extension is understood here.
    pub fn parse(token: &'a str, max_bytes: usize) -> Result<Self, Rejection> {
        if token.len() > max_bytes {
            return Err(Rejection::TooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Rejection::Malformed)?;
        let header = UnverifiedHeader::from_json(&decode(header)?)?;
        Ok(Self { header, signing_input, digest: None, payload, signature })
    }

    /// The same; `digest` is the SHA-256 of its signing input.
    pub(crate) fn with_digest(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    pub(crate) fn segments(&self) -> Result<Segments, Rejection> {
        // A further dot is no letter of base64url, so that more than three segments are refused here.
        Ok(Segments { payload: decode(self.payload)?, signature: decode(self.signature)? })
    }

    /// What it says of its own signature.
    #[must_use]
    pub fn header(&self) -> &UnverifiedHeader {
        &self.header
    }
}

/// Whether a token or a key set may use `kid` as the name of a key.
pub(crate) fn is_kid(kid: &str) -> bool {
    (1..=MAX_KID).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Refuses padding and non-zero trailing bits: one token has one spelling, which its hash may stand
/// for.
fn decode(segment: &str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Rejection::Malformed)
}

fn text(member: Option<Value>) -> Result<String, Rejection> {
    match member {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Rejection::Malformed),
    }
}
