//! What the check of a signature costs by itself.

use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};

/// A signature and its key.
pub(super) struct Signature {
    key: ParsedPublicKey,
    input: [u8; 1_200],
    octets: Vec<u8>,
}

impl Signature {
    pub(super) fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let (input, mut octets) = ([7; 1_200], vec![0; pair.public_modulus_len()]);
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &input, &mut octets).unwrap();
        let key = pair.public_key().as_ref();
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).unwrap();
        Self { key, input, octets }
    }

    /// What one verification takes on one core, in µs: the least that a token costs that was not seen before.
    pub(super) fn time_verification(&self) -> f64 {
        const TIMES: u32 = 20_000;
        let began = Instant::now();
        for _ in 0..TIMES {
            self.key.verify_sig(&self.input, &self.octets).unwrap();
        }
        began.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
    }
}
