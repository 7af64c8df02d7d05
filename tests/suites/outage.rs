//! Whoever is to be told cannot be for two hours: nothing of what happened then is lost, repeated or
//! told in another order.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use quorate::config::Config;
use quorate::lifecycle::{Ask, AskedAccess};
use quorate_core::ids::UserId;

use crate::world::browser::variable;
use crate::world::hearers::{CHANNELS, Heard, Hearers};
use crate::world::in_slack::config;
use crate::world::{World, quorum};

/// What happens while nobody can be told, unless the environment says more: half of it is asking,
/// half is withdrawing. `just outage` has ten thousand.
const EVENTS: usize = 400;
/// How often in the two hours.
const BATCHES: usize = 24;
const SECONDS: u64 = 2 * 3600;
/// How much happens at the same time.
const AT_ONCE: usize = 16;

/// Asks and withdraws at once, without HTTP.
async fn ask_and_withdraw(world: &World) -> String {
    let ann: UserId = "ann".parse().unwrap();
    let access = AskedAccess::JustInTime("1h".parse().unwrap());
    let ask = Ask { resource: "prod".parse().unwrap(), access, reason: String::new() };
    let lifecycle = &world.app().lifecycle;
    let id = lifecycle.submit(&ann, ask, None).await.unwrap().id;
    lifecycle.cancel(&id.parse().unwrap(), &ann, None).await.unwrap();
    id
}

/// Waits until a channel has nothing more to tell, for as long as that goes on.
async fn until_told(world: &World, channel: &str) {
    let name = channel.parse().unwrap();
    let status = || world.app().ledger.channel_status(&name).unwrap().unwrap();
    let mut left = status().waiting;
    while left > 0 {
        let what = format!("fewer than {left} for {channel}");
        left =
            world.eventually(&what, async || Some(status().waiting).filter(|waiting| *waiting < left)).await;
    }
    let status = status();
    assert_eq!((status.dead, status.failures), (0, 0), "{channel}: {status:?}");
}

/// Checks that exactly this was told of each request, in this order.
fn told_each(channel: &str, heard: Vec<Heard>, asked: &BTreeSet<String>, expected: [&str; 2]) {
    let mut told = BTreeMap::<String, Vec<String>>::new();
    for Heard { request, what, .. } in heard {
        told.entry(request).or_default().push(what);
    }
    assert_eq!(told.keys().collect::<BTreeSet<_>>(), asked.iter().collect(), "{channel}");
    for (request, what) in told {
        assert_eq!(what, expected, "{channel}, {request}");
    }
}

// Whoever is told is in this process too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_smtp_what_happens_in_an_outage_of_two_hours_is_told_once_and_in_order() {
    let mut hearers = Hearers::start().await;
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

    let events = variable("QUORATE_OUTAGE_EVENTS").map_or(EVENTS, |said| said.parse().unwrap());
    hearers.down(true).await;
    let mut asked = BTreeSet::new();
    for batch in 0..BATCHES {
        let left = events / 2 - asked.len();
        let now = left / (BATCHES - batch);
        let done = stream::iter(0..now).map(|_| ask_and_withdraw(&world)).buffer_unordered(AT_ONCE);
        asked.extend(done.collect::<Vec<_>>().await);
        world.clock.advance(SECONDS / BATCHES as u64);
    }
    assert_eq!(asked.len(), events / 2);
    hearers.down(false).await;
    // As long as anybody rests at most.
    world.clock.advance(15 * 60);
    for channel in CHANNELS {
        until_told(&world, channel).await;
    }

    told_each("pager", hearers.by_webhook(), &asked, ["request.submitted", "request.cancelled"]);
    let headlines = ["ann asks for prod for 1h", "ann withdrew the request for prod"];
    told_each("teams", hearers.in_teams(), &asked, headlines);
    told_each("post", hearers.by_email(), &asked, headlines);
    // Here one message is kept true.
    let posted = hearers.in_slack();
    assert_eq!(posted.len(), asked.len());
    assert_eq!(posted.iter().map(|(request, _)| request).collect::<BTreeSet<_>>(), asked.iter().collect());
    assert!(posted.iter().all(|(_, message)| message.seen().contains("CANCELLED by ann")));
    world.finish().await;
}
