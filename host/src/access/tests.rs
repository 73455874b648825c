use super::*;
use dacapo_store::control::HubRecord;

struct World {
    access: Access,
    _directory: tempfile::TempDir,
}

fn world(key_policy: KeyPolicy) -> World {
    let directory = tempfile::tempdir().unwrap();
    let control = Arc::new(ControlFile::open(&directory.path().join("control.redb")).unwrap());
    for (name, created_at) in [("Blue", 1), ("Red", 2)] {
        let record = HubRecord { name: name.into(), created_at, ..HubRecord::default() };
        control.create_hub(&record, &entry(&Caller::Developer, Scope::Host, "hub.create", Value::Null)).unwrap();
    }
    World { access: Access::open(control, key_policy).unwrap(), _directory: directory }
}

impl World {
    fn key(&self, scope: Scope, role: Role) -> KeyText {
        create_key(&self.access.control, scope, role.name(), role, "test").unwrap()
    }

    /// The links that a caller gets in responses about Blue.
    fn links(&self, credential: &str) -> HubLinks {
        let caller = self.access.identify(Some(credential)).unwrap();
        self.access.links_for(&caller, "Blue").unwrap().expect("keys are needed")
    }

    fn admits(&self, credential: &str, needs: Needs, hub: Option<&str>) -> Result<(), Refusal> {
        let id = InstanceId::orchestration("i").unwrap();
        let refused = |denied| match denied {
            Denied::Refused(refusal) => refusal,
            Denied::Control(error) => panic!("{error}"),
        };
        let caller = self.access.identify(Some(credential).filter(|text| !text.is_empty())).map_err(refused)?;
        self.access.admit(&caller, needs, hub, Some(&id)).map_err(refused)
    }
}

#[tokio::test]
async fn a_role_includes_those_before_it_and_nothing_more() {
    let world = world(KeyPolicy::Required);
    for has in Role::ALL {
        let key = world.key(Scope::Hub("blue".into()), has);
        for needs in Role::ALL {
            let refused = world.admits(key.as_str(), Needs::Hub(needs), Some("BLUE")).err();
            let weak = Refusal::WeakRole { key: has.name().into(), has, needs };
            assert_eq!(refused, (has < needs).then_some(weak));
        }
    }
}

#[tokio::test]
async fn a_key_of_a_hub_opens_that_hub_and_tells_nothing_of_others() {
    let world = world(KeyPolicy::Required);
    let key = world.key(Scope::Hub("Blue".into()), Role::Administer);
    let elsewhere = |hub| world.admits(key.as_str(), Needs::Hub(Role::Read), hub).unwrap_err();
    assert_eq!(elsewhere(Some("Red")), elsewhere(Some("Missing")));
    assert_eq!(elsewhere(Some("Red")), elsewhere(None));
    assert!(matches!(world.admits(key.as_str(), Needs::Host(Role::Read), Some("Blue")), Err(Refusal::OtherScope { .. })));
    assert_eq!(world.admits(key.as_str(), Needs::Key, None), Ok(()));
}

#[tokio::test]
async fn a_key_of_the_host_opens_every_hub() {
    let world = world(KeyPolicy::Required);
    let key = world.key(Scope::Host, Role::Deploy);
    assert_eq!(world.admits(key.as_str(), Needs::Hub(Role::Deploy), Some("Red")), Ok(()));
    assert_eq!(world.admits(key.as_str(), Needs::Host(Role::Read), None), Ok(()));
    assert!(matches!(world.admits(key.as_str(), Needs::Host(Role::Administer), None), Err(Refusal::WeakRole { .. })));
}

#[tokio::test]
async fn without_a_key_nothing_opens_but_what_needs_none() {
    let world = world(KeyPolicy::Required);
    let needs = [Needs::Key, Needs::Hub(Role::Read), Needs::Instance(Role::Read), Needs::Host(Role::Read)];
    for needs in needs {
        assert_eq!(world.admits("", needs, Some("Blue")), Err(Refusal::NoKey));
        for guess in ["dcp_", "x", &format!("dcp_{}", "A".repeat(43)), "dcp_ä", " "] {
            assert_eq!(world.admits(guess, needs, Some("Blue")), Err(Refusal::UnknownKey), "{guess}");
        }
    }
    assert_eq!(world.admits("", Needs::Nothing, None), Ok(()));
}

#[tokio::test]
async fn a_revoked_key_is_unknown_at_once() {
    let world = world(KeyPolicy::Required);
    let (scope, role) = (Scope::Hub("Blue".into()), Role::Read);
    let key = world.key(scope.clone(), role);
    let told = entry(&Caller::Developer, scope.clone(), "key.revoke", Value::Null);
    world.access.control.revoke_key(&scope, role.name(), &told).unwrap();
    assert_eq!(world.admits(key.as_str(), Needs::Key, None), Err(Refusal::UnknownKey));
}

#[tokio::test]
async fn a_link_opens_its_instance_and_nothing_else() {
    let world = world(KeyPolicy::Required);
    let token = |hub: &str, id: &str| {
        let links = world.access.links_for_code(hub).unwrap().expect("keys are needed");
        links.token(&InstanceId::orchestration(id).unwrap())
    };
    let right = token("blue", "i");
    assert!(right.starts_with("dli_") && right.len() == 68, "{right}");
    assert_eq!(world.admits(&right, Needs::Instance(Role::Operate), Some("BLUE")), Ok(()));
    assert_eq!(world.admits(&right, Needs::Instance(Role::Read), Some("Blue")), Ok(()));
    for hub in [Some("Red"), Some("Missing"), None] {
        assert_eq!(world.admits(&right, Needs::Instance(Role::Read), hub), Err(Refusal::UnknownKey));
    }
    for other in [token("Blue", "ii"), token("Blue", "I"), token("Red", "i"), "dli_".into(), "dli_AAAA".into()] {
        assert_eq!(world.admits(&other, Needs::Instance(Role::Read), Some("Blue")), Err(Refusal::UnknownKey), "{other}");
    }
    for needs in [Needs::Instance(Role::Deploy), Needs::Hub(Role::Read), Needs::Host(Role::Read), Needs::Key] {
        assert_eq!(world.admits(&right, needs, Some("Blue")), Err(Refusal::OnlyInstance));
    }
}

/// A reader's link used to allow terminate and purge, and stayed valid when its key was revoked.
#[tokio::test]
async fn a_link_opens_no_more_than_the_key_that_it_was_given_to() {
    let world = world(KeyPolicy::Required);
    for (scope, has) in [Scope::Host, Scope::Hub("Blue".into())].iter().flat_map(|scope| Role::ALL.map(|role| (scope, role))) {
        let key = world.key(scope.clone(), has);
        let links = world.links(key.as_str());
        let link = links.token(&InstanceId::orchestration("i").unwrap());
        // A caller that polls with a link gets a link of the same key.
        assert_eq!(world.links(&link).token(&InstanceId::orchestration("i").unwrap()), link);
        assert_eq!(world.admits(&link, Needs::Instance(Role::Read), Some("Blue")), Ok(()));
        let operates = world.admits(&link, Needs::Instance(Role::Operate), Some("Blue"));
        let weak = Refusal::WeakLink { has: Role::Read, needs: Role::Operate };
        assert_eq!(operates.err(), (has == Role::Read).then_some(weak));
        assert_eq!(world.admits(&link, Needs::Instance(Role::Deploy), Some("Blue")), Err(Refusal::OnlyInstance));

        let told = entry(&Caller::Developer, scope.clone(), "key.revoke", Value::Null);
        let caller = world.access.identify(Some(&link)).unwrap();
        let revoked = world.access.revoked(&caller, world.access.revocations());
        world.access.revoke_key(scope, has.name(), &told).unwrap();
        assert_eq!(world.admits(&link, Needs::Instance(Role::Read), Some("Blue")), Err(Refusal::UnknownKey));
        // Requests that it had opened end.
        revoked.await;
        // A key of the same name is another one.
        world.key(scope.clone(), has);
        assert_eq!(world.admits(&link, Needs::Instance(Role::Read), Some("Blue")), Err(Refusal::UnknownKey));
    }
}

/// Earlier releases gave the same link to all callers, so its holder may be a reader.
#[tokio::test]
async fn a_link_of_an_earlier_release_is_good_for_reading() {
    let world = world(KeyPolicy::Required);
    // As such a release made it, with this link key.
    let id = InstanceId::orchestration("i").unwrap();
    let link = world.access.links_of("Blue", &Issuer::EarlierRelease).unwrap().expect("keys are needed").token(&id);
    assert_eq!(link.len(), 47, "{link}");
    assert_eq!(world.admits(&link, Needs::Instance(Role::Read), Some("blue")), Ok(()));
    let old = Refusal::OldLink { needs: Role::Operate };
    assert_eq!(world.admits(&link, Needs::Instance(Role::Operate), Some("Blue")), Err(old));
    assert_eq!(world.links(&link).token(&id), link, "who polls with it goes on with it");
}

#[tokio::test]
async fn a_hub_that_is_made_again_does_not_answer_to_the_links_of_the_former() {
    let world = world(KeyPolicy::Required);
    let id = InstanceId::orchestration("i").unwrap();
    let token = || world.access.links_for_code("Blue").unwrap().expect("keys are needed").token(&id);
    let former = token();
    let told = entry(&Caller::Developer, Scope::Host, "test", Value::Null);
    world.access.control.delete_hub("Blue", &told).unwrap();
    let record = HubRecord { name: "Blue".into(), created_at: 99, ..HubRecord::default() };
    world.access.control.create_hub(&record, &told).unwrap();
    assert_ne!(token(), former);
}

#[tokio::test]
async fn the_first_key_is_made_once() {
    let world = world(KeyPolicy::Required);
    let first = world.access.first_key(&FirstKey::Printed).unwrap().expect("there is none");
    assert_eq!(world.admits(first.as_str(), Needs::Host(Role::Administer), None), Ok(()));
    assert!(world.access.first_key(&FirstKey::Printed).unwrap().is_none());
}

#[tokio::test]
async fn the_first_key_may_be_given() {
    let world = world(KeyPolicy::Required);
    let (given, other) = (KeyText::random(), KeyText::random());
    assert_eq!(world.access.first_key(&FirstKey::Given(given.clone())).unwrap(), None, "it is not printed");
    assert_eq!(world.admits(given.as_str(), Needs::Host(Role::Administer), None), Ok(()));
    assert_eq!(world.access.first_key(&FirstKey::Given(other.clone())).unwrap(), None);
    assert!(world.admits(other.as_str(), Needs::Key, None).is_err(), "there is an administrator");
}

#[tokio::test]
async fn an_open_door_asks_nobody() {
    let world = world(KeyPolicy::NotRequired);
    for credential in ["", "anything", "dli_x"] {
        assert_eq!(world.admits(credential, Needs::Host(Role::Administer), None), Ok(()), "{credential}");
    }
    assert!(world.access.first_key(&FirstKey::Printed).unwrap().is_none());
    assert!(world.access.links_for_code("Blue").unwrap().is_none(), "links carry nothing");
}

#[test]
fn no_text_of_a_key_is_shown() {
    let key = KeyText::random();
    assert_eq!((key.as_str().len(), format!("{key:?}").as_str()), (47, "dcp_***"));
    assert_eq!(KeyText::parse(key.as_str()), Some(key.clone()));
    assert_ne!(key, KeyText::random());
}

#[test]
fn an_act_that_is_refused_again_and_again_is_told_of_now_and_then() {
    let denials = Denials::default();
    let claim = |at| denials.claim("Blue/ci".into(), "hub.delete", at);
    assert_eq!(claim(0), Some(0));
    assert_eq!((claim(1), claim(59_999_999)), (None, None));
    assert_eq!(claim(60_000_000), Some(2));
    assert_eq!(denials.claim("Blue/ci".into(), "key.create", 1), Some(0));
}
