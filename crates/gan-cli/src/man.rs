//! `gan man`.

use crate::args::{Cli, usage};
use crate::print;
use anyhow::Result;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan man > ~/.local/share/man/man1/gan.1\n  gan man train > ~/.local/share/man/man1/gan-train.1"
)]
pub struct ManArgs {
    /// Command to print the page of, such as `train` or `data inspect` [default: the page of gan].
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Prints a manual page in roff.
pub fn run(args: &ManArgs) -> Result<()> {
    let mut page = vec![];
    Man::new(find(&args.command)?).render(&mut page)?;
    print::bytes(&page)
}

/// Returns the command with these names, whose page is called `gan-data-inspect`.
fn find(names: &[String]) -> Result<Command> {
    let mut command = Cli::command();
    command.build();
    for name in names {
        let found = command.find_subcommand(name).filter(|found| found.get_name() != "help").cloned();
        let known: Vec<&str> =
            command.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
        let expected =
            if known.is_empty() { "no further command".into() } else { format!("one of {}", known.join(", ")) };
        let Some(found) = found else {
            let title = command.get_bin_name().unwrap_or("gan").to_string();
            return Err(usage(format!("gan man: {name}"), format!("is no command of `{title}`, expected {expected}")));
        };
        command = found;
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut page = vec![];
        Man::new(find(&names).unwrap()).render(&mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn pages_have_the_names_and_options_of_their_commands() {
        assert!(page(&[]).contains("gan\\-train(1)"), "{}", page(&[]));
        let inspect = page(&["data", "inspect"]);
        assert!(inspect.contains(".TH gan-data-inspect 1") && inspect.contains("\\-\\-size"), "{inspect}");
    }

    #[test]
    fn unknown_commands_are_refused() {
        let problem =
            |names: &[&str]| find(&names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_err().to_string();
        assert!(problem(&["data", "x"]).starts_with("gan man: x: is no command of `gan data`, expected one of "));
        assert!(problem(&["train", "x"]).contains("expected no further command"));
    }
}
