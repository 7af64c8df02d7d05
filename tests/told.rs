//! How soon people hear of a request, by each kind of channel, from the moment that it is asked for:
//! `cargo bench -p quorate-tests`. It needs what `tests/run` fetches for e-mail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    reason = "it shares the world of the tests, of which it uses a part"
)]

mod world;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use quorate::config::Config;
use world::hearers::{CHANNELS, Hearers};
use world::in_slack::config;
use world::{World, quorum};

/// How often a request is asked for while nothing else happens.
const ALONE: usize = 100;
/// How many are asked for at once.
const AT_ONCE: usize = 200;
/// How exactly it is measured.
const LOOK: Duration = Duration::from_micros(200);

/// How much each of the channels has taken.
fn taken(hearers: &Hearers) -> [usize; 4] {
    let Hearers { slack, pager, teams, postbox } = hearers;
    let in_slack = slack.messages(world::hearers::CONVERSATION).len();
    [in_slack, pager.messages().len(), teams.messages().len(), postbox.messages().len()]
}

/// Waits until each channel has taken `more` than `before`; says when each had.
async fn until(hearers: &Hearers, before: [usize; 4], more: usize) -> [Instant; 4] {
    let mut at = [None; 4];
    while at.contains(&None) {
        for (nth, count) in taken(hearers).into_iter().enumerate() {
            if at[nth].is_none() && count >= before[nth] + more {
                at[nth] = Some(Instant::now());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    at.map(|at| at.expect("all are there"))
}

fn percentile(took: &mut [Duration], percent: usize) -> f64 {
    took.sort_unstable();
    took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3
}

#[tokio::main]
async fn main() {
    let mut hearers = Hearers::start().await;
    hearers.down(false).await;
    let config = Config {
        notify_own_network: true,
        mail: Some(hearers.postbox.declared()),
        pending_requests_max: 100_000,
        ..config(&hearers.slack)
    };
    let world = World::with(config).await;
    hearers.slack.follow(world.app().clock.clone());
    world.resource("prod", quorum(&["dba"], false, 1)).await;
    for (name, channel) in hearers.channels() {
        world.put("root", &format!("channels/{name}"), channel).await.good();
    }

    let (mut asked, mut heard) = (Vec::new(), CHANNELS.map(|_| Vec::new()));
    for _ in 0..ALONE {
        let (before, began) = (taken(&hearers), Instant::now());
        world.ask("ann", "prod", "1h").await.good();
        asked.push(began.elapsed());
        for (heard, at) in heard.iter_mut().zip(until(&hearers, before, 1).await) {
            heard.push(at - began);
        }
    }
    println!("asking, until the answer: median {:.1} ms", percentile(&mut asked, 50));
    for (name, mut heard) in CHANNELS.iter().zip(heard) {
        let (median, most) = (percentile(&mut heard, 50), percentile(&mut heard, 99));
        println!("asking, until {name} has the message: median {median:.1} ms, p99 {most:.1} ms");
    }

    let (before, began) = (taken(&hearers), Instant::now());
    let asking = async {
        join_all((0..AT_ONCE).map(|_| world.ask("ann", "prod", "1h"))).await;
        began.elapsed()
    };
    let (asked, heard) = tokio::join!(asking, until(&hearers, before, AT_ONCE));
    println!("{AT_ONCE} asked for at once, until the last answer: {:.0} ms", asked.as_secs_f64() * 1e3);
    for (name, at) in CHANNELS.iter().zip(heard) {
        let all = (at - began).as_secs_f64();
        let rate = f64::from(u32::try_from(AT_ONCE).unwrap_or(1)) / all;
        println!("until {name} has all of them: {:.0} ms, {rate:.0} a second", all * 1e3);
    }
    world.finish().await;
}
