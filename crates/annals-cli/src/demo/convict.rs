//! One file convicts the party that cheated, in a process that has neither log.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use annals_channels::Address;
use serde_json::Value;

use super::cast::{Player, Role, cosign_each_other};
use super::story::Story;
use crate::failure::Failure;

/// The name of the file.
const FILE: &str = "bob-cheated.annals-evidence";

/// Runs part 4. Returns the name of the evidence file.
pub(super) fn convict(
    story: &mut Story,
    alice: &mut Player,
    bob: &Player,
    directory: &Path,
) -> Result<&'static str, Failure> {
    story.part("One file convicts Bob, and the judge needs neither log")?;
    let (hers, his) = cosign_each_other(alice, bob)?;
    story.line(format_args!(
        "Each party cosigns the other's log: Bob has seen {hers} events of hers, she {his} of his."
    ))?;
    let turn = alice.supported()?.unwrap_or(0);
    let evidence = alice.party.evidence()?.turns(turn..=turn).build()?.to_json();
    let path = directory.join(FILE);
    let failed = |source| Failure::DemoDirectory { directory: path.clone(), source };
    fs::write(&path, &evidence).map_err(failed)?;
    story.line(format_args!(
        "Alice writes {} of evidence: {}",
        bytes(&evidence),
        path.display()
    ))?;
    story.line("Another process, in a directory with nothing but that file, checks it:")?;
    let found = judge(&evidence).map_err(Failure::DemoProcess)?;
    let of = |kind: &str| found.iter().filter(|line| line["proved"] == kind).collect::<Vec<_>>();
    let [owner, convicted] = [of("owner"), of("convicted")];
    let is = |value: &Value, role: Role| {
        Ok::<_, Failure>(
            value.as_str().is_some_and(|text| text.parse::<Address>().ok() == role.address().ok()),
        )
    };
    let is_hers = owner.len() == 1 && is(&owner[0]["address"], Role::Alice)?;
    story.claim("the log is Alice's: her account stated its key", is_hers)?;
    let holds = convicted.len() == 1
        && is(&convicted[0]["signer"], Role::Bob)?
        && convicted[0]["turn_num"] == turn;
    story.claim(format_args!("Bob signed two states for turn {turn}: he is convicted"), holds)?;
    let has_seen = of("cosigned").iter().any(|line| line["witness"] == "annals.example/bob");
    story.claim("his receipt shows when he had seen her log", has_seen)?;
    let spoiled = evidence.replacen("\"amount\":\"", "\"amount\":\"1", 1);
    let refused = judge(&spoiled).map_err(Failure::DemoProcess)?.is_empty();
    story.claim("with one more digit in an amount, the file proves nothing", refused)?;
    Ok(FILE)
}

/// Lets another process check the evidence. It trusts only the two accounts. Returns what is proved, nothing if the
/// file does not hold.
fn judge(evidence: &str) -> std::io::Result<Vec<Value>> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join(FILE), evidence)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["check", FILE, "--format", "jsonl"]);
    for role in [Role::Alice, Role::Bob] {
        let address = role.address().map_err(|error| std::io::Error::other(error.to_string()))?;
        command.args(["--address", &address.to_string()]);
    }
    let output = command.current_dir(directory.path()).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Ok(Vec::new());
    }
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(Into::into)).collect()
}

fn bytes(text: &str) -> String {
    indicatif::HumanBytes(text.len() as u64).to_string()
}
