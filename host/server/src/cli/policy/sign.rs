//! `quorate policy keygen`, `sign` and `verify`: who vouches for a component.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use quorate_core::ids::Digest;
use quorate_policy::signature::{self, BadSignature, KeyId, PrivateKey, PublicKey};
use serde_json::json;

use super::read;
use crate::cli::Context;
use crate::cli::exit::{Ending, Failure, NOT_HELD};
use crate::cli::words;
use crate::random;

/// More than any key file has.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// Make a pair of keys to sign policies with; no gateway needed
#[derive(Debug, Args)]
#[command(after_help = "\
Writes an Ed25519 key to FILE, readable by you alone, and its public half to FILE.pub. Both are PEM
files, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` make them: those can be
used as well.

Examples:
  quorate policy keygen release.key
  quorate serve --policy-keys release.key.pub     # takes only what was signed with it")]
pub(in crate::cli) struct Keygen {
    /// Where the private key goes; nothing is overwritten
    file: PathBuf,
}

/// Sign a component; no gateway needed
#[derive(Debug, Args)]
#[command(after_help = "\
The component is put through the gateway's checks, then the signature is added to the file itself,
which gives it another digest. Several people can sign one component; each is one more section.

Examples:
  quorate policy sign night-shift.wasm --key release.key
  quorate policy sign night-shift.wasm --key release.key -o signed.wasm")]
pub(in crate::cli) struct Sign {
    /// The component
    file: PathBuf,
    /// The private key, a PEM file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Write the signed component there instead
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Say whether one of the keys signed a component; no gateway needed
#[derive(Debug, Args)]
#[command(after_help = "\
Ends with 0 where one of them did and with 1 where none did.

Examples:
  quorate policy verify night-shift.wasm --key release.key.pub")]
pub(in crate::cli) struct Verify {
    /// The component
    file: PathBuf,
    /// Public keys, PEM files with one or several each
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
}

impl Keygen {
    /// Runs the verb.
    pub(in crate::cli) fn run(&self, context: &Context) -> Ending {
        let seed = random::bytes().map_err(|error| Failure::failed(error.to_string()))?;
        let private = signature::private_pem(&seed);
        let public = match PrivateKey::parse(private.as_bytes()) {
            Ok(key) => key.public(),
            Err(error) => return Err(Failure::failed(error.to_string())),
        };
        let mut public_file = self.file.clone().into_os_string();
        public_file.push(".pub");
        let public_file = PathBuf::from(public_file);
        if public_file.exists() {
            return Err(Failure::usage(format!("`{}` is there already", public_file.display())));
        }
        write_new(&self.file, private.as_bytes(), 0o600)?;
        write_new(&public_file, public.pem().as_bytes(), 0o644)?;
        let value = json!({"key": public.id().to_string(), "private": self.file, "public": public_file});
        context.screen.result(&value, || {
            format!(
                "key {}\n  private  {}  (keep it to yourself)\n  public   {}  (for `quorate serve --policy-keys`)\n",
                public.id(),
                self.file.display(),
                public_file.display()
            )
        })
    }
}

impl Sign {
    /// Runs the verb.
    pub(in crate::cli) async fn run(self, context: &Context) -> Ending {
        let key = PrivateKey::parse(&key_file(&self.key)?)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", self.key.display())))?;
        let component = read(&self.file)?;
        let checked = component.clone();
        tokio::task::spawn_blocking(move || super::loaded(&checked).map(drop))
            .await
            .map_err(|error| Failure::failed(error.to_string()))?
            .map_err(|failure| not_this(&self.file, failure))?;
        let signed = signature::sign(&component, &key)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", self.file.display())))?;
        let to = self.output.as_ref().unwrap_or(&self.file);
        super::build::write(to, &signed)?;
        let (id, digest) = (key.public().id(), Digest::of(&signed));
        let value = json!({"file": to, "digest": digest, "signed_by": by(&signature::claimed(&signed))});
        context.screen.result(&value, || {
            format!("{} is signed by {id}\n  digest  {digest}\n", words::clean(&to.display().to_string()))
        })
    }
}

impl Verify {
    /// Runs the verb.
    pub(in crate::cli) fn run(&self, context: &Context) -> Ending {
        let mut keys = Vec::new();
        for file in &self.key {
            let parsed = PublicKey::parse_all(&key_file(file)?);
            keys.extend(parsed.map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?);
        }
        let component = read(&self.file)?;
        let file = words::clean(&self.file.display().to_string());
        let verified = signature::verify(&component, &keys);
        let value = match &verified {
            Ok(keys) => json!({"holds": true, "signed_by": by(keys)}),
            Err(error) => json!({"holds": false, "why": error.to_string(), "signed_by": by(&named(error))}),
        };
        context.screen.result(&value, || match &verified {
            Ok(keys) => format!("{file} is signed by {}\n", by(keys).join(", ")),
            Err(error) => format!("{file} does not hold: {error}\n"),
        })?;
        Ok(if verified.is_ok() { 0 } else { NOT_HELD })
    }
}

fn by(keys: &[KeyId]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

fn named(error: &BadSignature) -> Vec<KeyId> {
    match error {
        BadSignature::Untrusted(keys) => keys.clone(),
        BadSignature::Wrong(key) => vec![*key],
        BadSignature::Missing | BadSignature::TooMany => Vec::new(),
    }
}

fn not_this(file: &Path, failure: Failure) -> Failure {
    Failure { message: format!("`{}`: {}", file.display(), failure.message), ..failure }
}

fn key_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let size = std::fs::metadata(path).map(|file| file.len());
    match size
        .and_then(|size| if size > KEY_FILE_BYTES_MAX { Ok(None) } else { std::fs::read(path).map(Some) })
    {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Failure::usage(format!("`{}` is too large to be a key", path.display()))),
        Err(error) => Err(Failure::usage(format!("`{}` cannot be read: {error}", path.display()))),
    }
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    opened
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(|error| Failure::usage(format!("`{}` cannot be written: {error}", path.display())))
}
