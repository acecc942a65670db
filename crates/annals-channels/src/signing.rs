//! Signs state hashes and recovers signers: secp256k1 over Ethereum's personal message.

use alloy_primitives::{U256, eip191_hash_message};
use k256::ecdsa::SigningKey;

use crate::hex::{Address, Hash, Signature};

/// A signature without a signer, or a key that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The last byte, v, is neither 27 nor 28.
    #[error("a signature's v must be 27 or 28; found {found}")]
    V {
        /// The value of v.
        found: u8,
    },
    /// The number s is in the upper half. Each signature has a second form with the other s, which anyone can compute,
    /// so only the low one is valid.
    #[error("a signature's s must be at most half of the curve's order; found {found}")]
    HighS {
        /// The value of s.
        found: U256,
    },
    /// No key can have made the signature.
    #[error("no key can have made this signature")]
    Unrecoverable,
    /// A secret key that is zero or not below the curve's order.
    #[error("a secret key must be a number from 1 to the curve's order - 1")]
    Key,
}

/// A participant's secret key. `Debug` does not show it, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct SecretKey {
    key: SigningKey,
    address: Address,
}

impl SecretKey {
    /// Makes a key of its bytes.
    ///
    /// # Errors
    /// [`SignatureError::Key`] if the bytes are not a valid key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SignatureError> {
        let key = SigningKey::from_bytes(bytes.into()).map_err(|_| SignatureError::Key)?;
        let address = alloy_primitives::Address::from_private_key(&key).into();
        Ok(Self { key, address })
    }

    /// Returns the address of the key's owner.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a state hash. The same hash always has the same signature (RFC 6979), with a low s.
    ///
    /// # Errors
    /// [`SignatureError::Unrecoverable`], for about one hash in 2^127.
    pub fn sign(&self, state_hash: Hash) -> Result<Signature, SignatureError> {
        self.sign_message(state_hash.bytes())
    }

    /// Signs a message as Ethereum's `personal_sign` does (EIP-191).
    pub(crate) fn sign_message(&self, message: &[u8]) -> Result<Signature, SignatureError> {
        let signed = self.key.sign_prehash_recoverable(eip191_hash_message(message).as_slice());
        let (signature, recovery) = signed.map_err(|_| SignatureError::Unrecoverable)?;
        let signature = alloy_primitives::Signature::from((signature, recovery));
        Ok(Signature::new(signature.as_bytes()))
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Returns the address that signed a state hash.
///
/// ```
/// # use annals_channels::{Hash, SecretKey, recover};
/// let key = SecretKey::from_bytes(&[0x11; 32])?;
/// let state_hash = Hash::new([7; 32]);
/// assert_eq!(recover(state_hash, key.sign(state_hash)?)?, key.address());
/// # Ok::<(), annals_channels::SignatureError>(())
/// ```
///
/// # Errors
/// [`SignatureError`] if v is not 27 or 28, s is high, or no key can have made the signature.
pub fn recover(state_hash: Hash, signature: Signature) -> Result<Address, SignatureError> {
    recover_message(state_hash.bytes(), signature)
}

/// Returns the address that signed a message as Ethereum's `personal_sign` does (EIP-191).
pub(crate) fn recover_message(
    message: &[u8],
    signature: Signature,
) -> Result<Address, SignatureError> {
    let found = signature.bytes()[64];
    if !matches!(found, 27 | 28) {
        return Err(SignatureError::V { found });
    }
    let signature = alloy_primitives::Signature::from_raw_array(signature.bytes())
        .map_err(|_| SignatureError::Unrecoverable)?;
    if signature.normalize_s().is_some() {
        return Err(SignatureError::HighS { found: signature.s() });
    }
    let signer = signature.recover_address_from_prehash(&eip191_hash_message(message));
    signer.map(Address::from).map_err(|_| SignatureError::Unrecoverable)
}
