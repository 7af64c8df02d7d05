//! The part of a plan that is about notification channels.

use quorate_core::channel::ChannelKind;

use super::{
    Action, BTreeMap, BTreeSet, Call, Change, Field, Plan, Step, Value, file, hint, json, names, only,
};

impl Plan<'_> {
    /// After the rules, which channels name.
    pub(super) fn channels(&mut self) {
        for (name, channel) in self.file.channels.iter().flatten() {
            let name = name.as_str();
            let before = self.state.channels.get(name);
            let kind = ChannelKind::named(&channel.kind, channel.to.clone(), channel.conversation.clone());
            match (&kind, before.and_then(|before| before["kind"].as_str())) {
                (Err(refused), _) => self.wrong.push(format!("channels.{name}: {refused}")),
                (Ok(_), Some(kind)) if kind != channel.kind => self
                    .wrong
                    .push(format!("channels.{name}.kind: it is of kind {kind}: remove it and add another")),
                _ => {}
            }
            self.check_rules(name, channel);
            let after = channel.canonical();
            let mut change = Change::between("channel", name, only(before, &after).as_ref(), &after);
            let has_address = kind.as_ref().is_ok_and(ChannelKind::has_address);
            let address = self.address(name, channel, has_address, &mut change);
            if let Some(change) = change {
                let mut body = after;
                body["address"] = json!(address);
                let path = ["channels".to_owned(), name.to_owned()];
                self.steps.push(Step { change, call: Call::Put { path, body } });
            }
        }
    }

    /// What is sent of an address: that of a new channel, and with `--set-secrets` any.
    fn address(
        &mut self,
        name: &str,
        channel: &file::Channel,
        has_address: bool,
        change: &mut Option<Change>,
    ) -> Option<String> {
        let is_new = !self.state.channels.contains_key(name);
        let source = match &channel.address {
            Some(_) if !has_address => {
                self.wrong.push(format!("channels.{name}.address: a channel of this kind has none"));
                return None;
            }
            None if has_address && is_new => {
                let why = "give one, {env: VARIABLE} or {file: path}: there is none to keep";
                self.wrong.push(format!("channels.{name}.address: {why}"));
                return None;
            }
            Some(source) if is_new || self.given.set_secrets => source,
            _ => return None,
        };
        let value = match source.value(self.given.folder, self.given.environment) {
            Ok(value) => value,
            Err(why) => {
                self.wrong.push(format!("channels.{name}.address: {why}"));
                return None;
            }
        };
        let (before, after) = if is_new { (None, "(set)") } else { (Some(json!("(set)")), "(set again)") };
        let field = Field { path: "address".to_owned(), before, after: Some(json!(after)) };
        let change = change.get_or_insert_with(|| Change {
            action: Action::Change,
            what: "channel",
            name: name.to_owned(),
            fields: Vec::new(),
        });
        change.fields.push(field);
        Some(value)
    }

    fn check_rules(&mut self, name: &str, channel: &file::Channel) {
        let mut known =
            self.file.rules.iter().flatten().map(|(rule, _)| rule.to_string()).collect::<Vec<_>>();
        if !(self.given.prune && self.file.rules.is_some()) {
            known.extend(names(&self.state.rules));
        }
        for rule in channel.rules.iter().filter(|rule| !known.iter().any(|one| one == rule.as_str())) {
            self.wrong.push(format!(
                "channels.{name}.rules: there is no rule `{rule}`{}",
                hint(rule.as_str(), &known)
            ));
        }
    }

    /// The channels that the file does not name. A resource that it does not name either lets go of
    /// them first.
    pub(super) fn prune_channels(&mut self) {
        let Some(channels) = &self.file.channels else { return };
        let named = |name: &str| channels.keys().any(|one| one.as_str() == name);
        let gone: BTreeSet<&str> =
            self.state.channels.keys().map(String::as_str).filter(|name| !named(name)).collect();
        for (name, resource) in self.file.resources.iter().flatten() {
            for plugin in resource.plugins.iter().filter(|plugin| gone.contains(plugin.as_str())) {
                let why = "is not in the file, and --prune removes it";
                self.wrong.push(format!("resources.{name}.plugins: channel `{plugin}` {why}"));
            }
        }
        let in_file: BTreeSet<&str> =
            self.file.resources.iter().flatten().map(|(name, _)| name.as_str()).collect();
        let others = self.state.resources.iter().filter(|(name, _)| !in_file.contains(name.as_str()));
        let steps: Vec<Step> = others.filter_map(|(name, resource)| without(name, resource, &gone)).collect();
        self.steps.extend(steps);
        self.steps.extend(gone.into_iter().map(|name| Step {
            change: Change::removal("channel", name),
            call: Call::Delete { path: ["channels".to_owned(), name.to_owned()] },
        }));
    }
}

/// What has a resource let go of channels; none where it names none of them.
fn without(name: &str, resource: &Value, gone: &BTreeSet<&str>) -> Option<Step> {
    let plugins = resource["plugins"].as_array()?;
    let is_gone = |plugin: &Value| plugin.as_str().is_some_and(|plugin| gone.contains(plugin));
    if !plugins.iter().any(is_gone) {
        return None;
    }
    let left: Vec<&Value> = plugins.iter().filter(|plugin| !is_gone(plugin)).collect();
    let mut body = resource.clone();
    body["plugins"] = json!(left);
    let change = Change::between("resource", name, Some(resource), &body)?;
    let fields = body.as_object_mut()?;
    fields.retain(|field, _| file::RESOURCE_FIELDS.contains(&field.as_str()));
    // Each secret stays what it is.
    let secrets = resource["secrets"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let kept: BTreeMap<&str, Option<String>> = secrets.map(|secret| (secret, None)).collect();
    fields.insert("secrets".to_owned(), json!(kept));
    Some(Step { change, call: Call::Put { path: ["resources".to_owned(), name.to_owned()], body } })
}
