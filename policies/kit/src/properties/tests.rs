use super::*;
use crate::{Audience, Finding, Input, Outcome, Requirement, Verdict};

const WORLD: &str = "\
people: {ann: [dev], bob: [dba], bea: [dba], sam: [security], sue: [dba, security]}
requesters: [ann]
configs: [{}]
durations: [1h, 4h]
votes: 3
";

struct Function<F>(F);

impl<F: FnMut(&Input) -> Verdict> Policy for Function<F> {
    fn evaluate(&mut self, _: &str, input: &Input) -> Result<Verdict, String> {
        Ok((self.0)(input))
    }
    fn check(&mut self, _: &str) -> Result<Vec<Finding>, String> {
        Ok(Vec::new())
    }
}

fn found(world: &str, policy: impl FnMut(&Input) -> Verdict) -> Found {
    look(&World::parse(world).unwrap()[0], &mut Function(policy)).unwrap()
}

/// Two different people of dba.
fn two_dbas(input: &Input) -> Verdict {
    if input.rejections().any(|vote| vote.voter.is_in("dba")) {
        return Verdict::deny("rejected");
    }
    let given = u32::try_from(input.approvals().filter(|vote| vote.voter.is_in("dba")).count()).unwrap();
    let dba = Audience::groups(["dba"]);
    match 2_u32.saturating_sub(given) {
        0 => Verdict::approve().max_duration(7200),
        missing => Verdict::wait(vec![vec![Requirement::new(missing, dba)]]),
    }
}

fn names(found: &Found) -> Vec<String> {
    found.counterexamples.iter().map(|one| one.property.to_string()).collect()
}

#[test]
fn a_sound_policy_holds_and_says_how_far_was_looked() {
    let world = format!("{WORLD}properties: {{people_min: 2, cap: 2h}}\n");
    let found = found(&world, two_dbas);
    assert_eq!(names(&found), [""; 0]);
    // 4 voters, 3 choices each: 1 + 12 + 108 + 648 orders, for two durations.
    assert_eq!(found.states, 2 * (1 + 12 + 108 + 648));
    assert_eq!(found.properties.len(), 6);
}

#[test]
fn the_shortest_story_is_told() {
    let world = format!("{WORLD}properties: {{people_min: 2}}\n");
    let one_is_enough = |input: &Input| match input.approvals().count() {
        0 => Verdict::wait(vec![vec![Requirement::new(1, Audience::groups(["dba", "security"]))]]),
        _ => Verdict::approve(),
    };
    let found = found(&world, one_is_enough);
    assert_eq!(names(&found), ["people_min"]);
    assert_eq!(
        found.counterexamples[0].story,
        [
            "the config is {}",
            "ann (of dev) asks for 1h on prod-postgres",
            "bea approves",
            "the policy says approve, with 1 of at least 2 people",
        ]
    );
}

#[test]
fn each_property_is_seen_to_fail() {
    let cap = found(&format!("{WORLD}properties: {{cap: 1h}}\n"), two_dbas);
    assert_eq!(names(&cap), ["cap"]);
    assert!(cap.counterexamples[0].story.last().unwrap().contains("the policy allows 2h, more than 1h"));

    let too_many_spoil_it = |input: &Input| match input.approvals().count() {
        2 => Verdict::approve(),
        _ => Verdict::wait(Vec::new()),
    };
    let monotone = found(&format!("{WORLD}properties: {{missing: false}}\n"), too_many_spoil_it);
    assert_eq!(names(&monotone), ["monotone"]);
    assert_eq!(monotone.counterexamples[0].votes, 3);

    let the_first_decides = |input: &Input| match input.votes.first() {
        Some(vote) if vote.voter.id == "bob" => Verdict::approve(),
        _ => Verdict::wait(Vec::new()),
    };
    let order = found(&format!("{WORLD}properties: {{missing: false}}\n"), the_first_decides);
    assert_eq!(names(&order), ["order"]);
    assert_eq!(order.counterexamples[0].votes, 2);
}

#[test]
fn a_world_has_only_configs_that_rules_can_have() {
    struct Picky;
    impl Policy for Picky {
        fn evaluate(&mut self, _: &str, _: &Input) -> Result<Verdict, String> {
            Ok(Verdict::abstain())
        }
        fn check(&mut self, config: &str) -> Result<Vec<Finding>, String> {
            let code = if config.contains("few") { "warning-few" } else { "many" };
            Ok(vec![Finding::new(code, "not so many").at("/most")])
        }
    }
    let look_at =
        |configs: &str| look(&World::parse(&WORLD.replace("[{}]", configs)).unwrap()[0], &mut Picky);
    assert!(look_at("[few, {most: few}]").is_ok());
    assert_eq!(
        look_at("[few, {most: 9}]").unwrap_err().to_string(),
        "no rule can have config 2, {\"most\":9}: refused at /most: not so many"
    );
}

#[test]
fn a_policy_that_does_not_answer_is_found() {
    struct Traps;
    impl Policy for Traps {
        fn evaluate(&mut self, _: &str, input: &Input) -> Result<Verdict, String> {
            if input.votes.len() == 2 { Err("trapped".to_owned()) } else { Ok(Verdict::abstain()) }
        }
        fn check(&mut self, _: &str) -> Result<Vec<Finding>, String> {
            Ok(Vec::new())
        }
    }
    let found = look(&World::parse(WORLD).unwrap()[0], &mut Traps).unwrap();
    let answers = &found.counterexamples[0];
    assert_eq!((&answers.property, answers.votes), (&Property::Answers, 2));
    assert!(answers.to_string().ends_with("the policy does not answer: trapped\n"), "{answers}");
}

#[test]
fn what_is_missing_must_be_enough_and_must_be_needed() {
    // Says one of dba, wants two.
    let too_little = |input: &Input| match two_dbas(input).outcome {
        Outcome::Wait(_) => Verdict::wait(vec![vec![Requirement::new(1, Audience::groups(["dba"]))]]),
        other => Verdict::new(other),
    };
    let found_little = found(WORLD, too_little);
    assert_eq!(names(&found_little), ["missing"]);
    assert!(
        found_little.counterexamples[0].story.last().unwrap().ends_with("which they meet"),
        "{found_little:?}"
    );
    // Says two, is content with one.
    let too_much = |input: &Input| match input.approvals().filter(|vote| vote.voter.is_in("dba")).count() {
        0 => Verdict::wait(vec![vec![Requirement::new(2, Audience::groups(["dba"]))]]),
        _ => Verdict::approve(),
    };
    let found_much = found(WORLD, too_much);
    assert_eq!(names(&found_much), ["missing"]);
    assert!(found_much.counterexamples[0].story.last().unwrap().ends_with("do not meet"), "{found_much:?}");
}

#[test]
fn one_person_meets_one_requirement() {
    let each = |input: &Input| {
        let of = |group: &str| Requirement::new(1, Audience::groups([group]));
        let has = |group: &str| input.approvals().any(|vote| vote.voter.is_in(group));
        // Wrong: sue alone is in both groups.
        match (has("dba"), has("security")) {
            (true, true) => Verdict::approve(),
            (true, false) => Verdict::wait(vec![vec![of("security")]]),
            (false, true) => Verdict::wait(vec![vec![of("dba")]]),
            (false, false) => Verdict::wait(vec![vec![of("dba"), of("security")]]),
        }
    };
    let found = found(WORLD, each);
    assert_eq!(names(&found), ["missing"]);
    assert!(found.counterexamples[0].story.contains(&"sue approves".to_owned()), "{found:?}");
}

/// Knows how many votes an expression allows; one that is none cannot be told.
struct AtMost<'w>(&'w World);

impl Judge for AtMost<'_> {
    fn begin(&mut self, _: &str, input: &Input) {
        assert!(input.votes.is_empty());
    }
    fn holds(&mut self, nth: usize, input: &Input, _: &Verdict) -> Result<bool, String> {
        let most =
            self.0.properties.own[nth].holds.parse::<usize>().map_err(|_| "fails: no number".to_owned())?;
        Ok(input.votes.len() <= most)
    }
}

#[test]
fn a_property_of_the_worlds_own_is_told_like_the_others_with_its_name() {
    let own = "{name: few, holds: '1'}, {name: enough, holds: '3'}, {name: odd, holds: x}";
    let world = World::parse(&format!("{WORLD}properties: {{own: [{own}]}}\n")).unwrap().remove(0);
    let found = look_with(&world, &mut Function(two_dbas), &mut AtMost(&world)).unwrap();
    assert_eq!(names(&found), ["few", "odd"]);
    assert_eq!(found.properties.last(), Some(&Property::Own("odd".to_owned())));
    assert_eq!(
        found.counterexamples[0].story,
        [
            "the config is {}",
            "ann (of dev) asks for 1h on prod-postgres",
            "bea approves",
            "bob approves",
            "the policy says approve, and `1` is false",
        ]
    );
    // What cannot be told is no success, from the first state on.
    let odd = &found.counterexamples[1];
    assert_eq!(odd.votes, 0);
    assert!(odd.story.last().unwrap().ends_with("and `x` fails: no number"), "{odd}");
    let error = look(&world, &mut Function(two_dbas)).unwrap_err();
    assert!(error.to_string().contains("`few` is an expression"), "{error}");
}

#[test]
fn a_policy_that_does_not_answer_makes_no_property_true() {
    struct Silent;
    impl Policy for Silent {
        fn evaluate(&mut self, _: &str, _: &Input) -> Result<Verdict, String> {
            Err("trapped".to_owned())
        }
        fn check(&mut self, _: &str) -> Result<Vec<Finding>, String> {
            Ok(Vec::new())
        }
    }
    let world = World::parse(&format!("{WORLD}properties: {{own: [{{name: few, holds: '9'}}]}}\n")).unwrap();
    let found = look_with(&world[0], &mut Silent, &mut AtMost(&world[0])).unwrap();
    assert_eq!(names(&found), ["answers"]);
}

#[test]
fn a_world_that_does_not_fit_is_refused() {
    for (world, reason) in [
        ("people: {ann: []}\nconfigs: []\n", "no `configs`"),
        ("people: {ann: []}\nconfigs: [{}]\nvotes: 7\n", "at most 6"),
        (
            "people: {a: [], b: [], c: [], d: [], e: [], f: [], g: [], h: [], i: []}\nconfigs: [{}]\nvotes: 6\n",
            "states, at most",
        ),
        ("people: {ann: []}\nrequesters: [bob]\nconfigs: [{}]\n", "`bob` is not among the people"),
        ("people: {ann: []}\nconfigs: [{}]\nproperties: {monoton: true}\n", "did you mean `monotone`?"),
        (
            "people: {ann: []}\nconfigs: [{}]\nproperties: {own: [{name: cap, holds: a}]}\n",
            "`cap` is built in",
        ),
        (
            "people: {ann: []}\nconfigs: [{}]\nproperties: {own: [{name: a, holds: b}, {name: a, holds: c}]}\n",
            "two properties are called `a`",
        ),
        ("people: {ann: []}\nconfigs: [{}]\nproperties: {own: [{name: '', holds: b}]}\n", "`b` has no name"),
        (
            "people: {ann: []}\nconfigs: [{}]\nproperties: {own: [{name: a, hold: b}]}\n",
            "did you mean `holds`?",
        ),
    ] {
        let error =
            World::parse(world).and_then(|worlds| look(&worlds[0], &mut Function(two_dbas))).unwrap_err();
        assert!(error.to_string().contains(reason), "{world}: {error}");
    }
}
