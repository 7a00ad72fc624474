//! The `gan` binary: parses flags, calls the libraries, prints results. The only crate that prints.
//!
//! In reading order: [`args`], then a module for each command; [`source`] finds the object of a command, [`distributed`] runs it on several
//! ranks, [`progress`] shows a run on the terminal, [`output`] checks where results go, [`print`](mod@print) prints and escapes everything.

mod args;
mod bench;
mod data;
mod distributed;
mod evaluate;
mod export;
mod generate;
mod import;
mod interpolate;
mod interrupt;
mod lab;
mod man;
mod output;
mod print;
mod progress;
mod project;
mod push;
mod report;
mod seeds;
mod serve;
mod sheets;
mod show;
mod source;
mod train;
mod watch;

use args::{Cli, Command};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format;

#[cfg(all(feature = "allocator", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: gan_kernels::process::Allocator = gan_kernels::process::Allocator;

/// Exit codes: done, failed, wrong usage or configuration, stopped by a signal after saving.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const STOPPED: u8 = 130;

fn main() -> ExitCode {
    #[cfg(all(feature = "allocator", target_os = "linux"))]
    gan_kernels::process::on_refusal(out_of_memory);
    gan_kernels::process::prepare();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(error),
    };
    log_to_stderr(&cli);
    if let Some(asked) = gan_kernels::Level::passed_over() {
        let known: Vec<&str> = gan_kernels::Level::available().into_iter().map(gan_kernels::Level::name).collect();
        let expected = format!("expected one of {}, or leave it out", known.join(", "));
        print::note(format_args!("error: GAN_CPU={asked}: this processor has no such kernels; {expected}"));
        return ExitCode::from(USAGE);
    }
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            if !distributed::is_reported(&error) {
                print::note(format_args!("error: {}", worded(&message(&error))));
            }
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Shows what is wrong with the command line, or the help that it requests.
fn refuse(mut error: clap::Error) -> ExitCode {
    // Clap suggests `-- -x`, which cannot follow as an option's value.
    let is_misleading = |value: &ContextValue| match value {
        ContextValue::StyledStrs(tips) => tips.iter().any(|tip| tip.to_string().contains("as a value, use '-- ")),
        _ => false,
    };
    if error.get(ContextKind::Suggested).is_some_and(is_misleading) {
        let tip =
            "a value that begins with a dash is joined to its option by =, as in --class=-x; a file is named ./-x";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    let is_harmless = |argument: &str| print::visible(argument) == argument;
    if !error.use_stderr() || std::env::args_os().all(|argument| is_harmless(&argument.to_string_lossy())) {
        error.exit();
    }
    // Colors cannot be distinguished from control characters in an argument, so this text has none.
    print::note(error.render().to_string().trim_end());
    ExitCode::from(USAGE)
}

/// Reports that there is no memory for `bytes`, and what to do, and exits.
#[cfg(all(feature = "allocator", target_os = "linux"))]
fn out_of_memory(bytes: usize) {
    let refused = gan_base::memory::shown(bytes as u64);
    print::note(format_args!(
        "error: the system refused {refused} of memory: lower train.batch, --count or evaluate.samples, use smaller images or \
         narrower layers, or a machine with more memory"
    ));
    std::process::exit(i32::from(FAILED));
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Train(args) => return train::run(&args, cli.quiet),
        Command::Generate(args) => generate::run(&args)?,
        Command::Interpolate(args) => interpolate::run(&args)?,
        Command::Project(args) => project::run(&args)?,
        Command::Evaluate(args) => evaluate::run(&args, cli.quiet)?,
        Command::Export(args) => export::run(&args)?,
        Command::Lab(args) => lab::run(&args)?,
        Command::Import(args) => import::run(&args, cli.quiet)?,
        Command::Push(args) => push::run(&args, cli.quiet)?,
        Command::Summary(args) => show::summary(&args)?,
        Command::Report(args) => report::run(&args)?,
        Command::Serve(args) => serve::run(&args)?,
        Command::Watch(args) => watch::run(&args)?,
        Command::Preset { command } => show::preset(&command)?,
        Command::Data { command } => data::run(&command, cli.quiet)?,
        Command::Bench(args) => bench::run(&args)?,
        Command::Devices => show::devices()?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "gan", &mut script);
            print::bytes(&script)?;
        }
        Command::Man(args) => man::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Formats the error and its causes in one line, without repeated text.
fn message(error: &anyhow::Error) -> String {
    let words = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<candle_core::Error>() {
        // Without the backtrace that it has if RUST_BACKTRACE is set.
        Some(error) => gan_core::strip_backtrace(error).to_string(),
        None => cause.to_string(),
    };
    error.chain().map(words).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        before if before.contains(&cause) => said,
        // A file that both the context and the cause name.
        before if cause.starts_with(&format!("{before}: ")) => cause,
        before => match before.rsplit_once(": ").filter(|(_, last)| cause.starts_with(&format!("{last}: "))) {
            Some((first, _)) => format!("{first}: {cause}"),
            None => format!("{said}: {cause}"),
        },
    })
}

/// Words a message for the command line: settings that libraries name as `data.dir=DIR` become `--set data.dir=DIR`.
fn worded(message: &str) -> String {
    let is_setting = |quoted: &str| {
        let key = quoted.split_once('=').map_or("", |(key, _)| key);
        key.contains('.') && key.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c))
    };
    let parts: Vec<&str> = message.split('`').collect();
    let mut said = String::new();
    for (index, part) in parts.iter().enumerate() {
        let is_quoted = index % 2 == 1 && index + 1 < parts.len();
        said += &match (is_quoted, index % 2) {
            (true, _) if is_setting(part) => format!("--set {part}"),
            (true, _) => format!("`{part}`"),
            (false, 0) => (*part).to_string(),
            (false, _) => format!("`{part}"),
        };
    }
    said
}

/// Returns the training error of a cause, alone or as that of a run.
fn training<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a gan_train::Error> {
    match cause.downcast_ref() {
        Some(gan_run::Error::Train(error)) => Some(error),
        _ => cause.downcast_ref(),
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let usage =
        error.chain().any(|cause| training(cause).is_some_and(gan_train::Error::is_usage) || cause.is::<args::Usage>());
    match (error.is::<interrupt::Interrupted>(), usage) {
        (true, _) => STOPPED,
        (false, true) => USAGE,
        (false, false) => FAILED,
    }
}

fn log_to_stderr(cli: &Cli) {
    // Rank 0 reports what concerns all ranks.
    let follows = gan_comm::launch::processes().is_some() && gan_comm::launch::rank() > 0;
    // Progress is not a warning, but users who wait want to see it.
    let progress = format!("warn,{}=info", gan_run::evaluate::PROGRESS);
    let level = match (cli.quiet || follows, cli.verbose) {
        (true, _) => "error",
        (false, 0) => &progress,
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Messages can contain names from files. Their colors are the formatter's own.
        .fmt_fields(
            format::debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{}", print::visible(&format!("{value:?}"))),
                name => write!(writer, "{name}={}", print::visible(&format!("{value:?}"))),
            })
            .delimited(" "),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .log_internal_errors(false)
        .without_time()
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_twice() {
        let error = |cause: &str, context: &[&str]| {
            let plain = anyhow::Error::msg(cause.to_string());
            message(&context.iter().fold(plain, |error, context| error.context(context.to_string())))
        };
        assert_eq!(error("x: is damaged", &["x"]), "x: is damaged");
        assert_eq!(error("x: is damaged", &["x", "run"]), "run: x: is damaged");
        assert_eq!(error("is damaged", &["x is damaged"]), "x is damaged");
        assert_eq!(error("is damaged", &["x"]), "x: is damaged");
        assert_eq!(error("xy is damaged", &["x"]), "x: xy is damaged");
    }

    #[test]
    fn settings_are_worded_as_options() {
        let said = "x: set `data.dir=DIR` or `data.small=skip`, see `gan data fetch` or `curl -o a=b`";
        let expected = "x: set --set data.dir=DIR or --set data.small=skip, see `gan data fetch` or `curl -o a=b`";
        assert_eq!(worded(said), expected);
        assert_eq!(worded("`train.batch=4`"), "--set train.batch=4");
        assert_eq!(worded("a ` alone"), "a ` alone");
    }

    #[test]
    fn backtraces_of_candle_are_left_out() {
        let inner = candle_core::Error::Msg("use a larger batch".into());
        let traced = candle_core::Error::WithBacktrace {
            inner: Box::new(inner),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        let error = anyhow::Error::from(gan_train::Error::from(traced)).context("run: failed");
        assert_eq!(message(&error), "run: failed: use a larger batch");
    }
}
