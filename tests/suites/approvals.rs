//! Quorum and votes over HTTP, decided by the real policies.

use crate::world::{World, quorum};

#[tokio::test]
async fn q1_q2_one_of_each_group_is_enough_and_less_is_not() {
    let world = World::new().await;
    world.resource("prod", quorum(&["dba", "security"], true, 1)).await;
    let id = world.ask("ann", "prod", "1h").await.good().id();
    let waiting = world.approve("bob", &id).await.good();
    assert_eq!(waiting.state(), "PENDING");
    assert!(waiting.text("/summary").contains("1 of security"), "{}", waiting.text("/summary"));
    assert_eq!(world.approve("sam", &id).await.good().state(), "APPROVED");
}
