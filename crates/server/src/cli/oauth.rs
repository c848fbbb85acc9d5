//! The command line of programs that people let in.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Oauth {
    /// Programs that may ask people for access.
    Client {
        #[command(subcommand)]
        action: OauthClient,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum OauthClient {
    /// Make a program known; what it needs to be set up with is printed.
    Add {
        /// Its name, for the people who are asked.
        name: String,
        /// Its id in requests; without it one is made up.
        #[arg(long)]
        id: Option<String>,
        /// Where answers go: https, http://127.0.0.1/ with any port, or a scheme with a dot; as often as needed. Without
        /// one it lets people in by devices' codes alone.
        #[arg(long = "redirect", value_name = "URI")]
        redirects: Vec<String>,
        /// What it may ask for at most, such as mail:imap,mail:smtp,openid; without it everything.
        #[arg(long, value_delimiter = ',')]
        scope: Vec<String>,
        /// It can keep a secret (a program on a server); the secret is shown once.
        #[arg(long)]
        confidential: bool,
    },
    /// List programs, also those that made themselves known.
    List,
    /// Remove a program and all that people granted it.
    Remove {
        /// Its id.
        id: String,
    },
}
