//! The harness itself: what every other test here relies on.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt};

use crate::support::{ControlPlane, Error, Options, eventually};

const SOON: Duration = Duration::from_secs(20);

/// Names the file in which [`holds_a_control_plane_until_it_is_killed`] says where its control plane is.
const HELD: &str = "MAIL_POLICY_TEST_HELD";

#[tokio::test]
async fn the_api_server_applies_manifests_and_kubectl_reads_them_back() {
    let cluster = ControlPlane::shared().await.unwrap();
    let namespace = cluster.create_namespace("apply", &[("env", "staging")]).await.unwrap();
    let manifest = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{of: {name}}}\n"
        )
    };

    let printed = cluster
        .apply_yaml(&format!("{}---\n{}", manifest("one"), manifest("two")))
        .await
        .unwrap();

    assert_eq!(printed, "configmap/one created\nconfigmap/two created\n");
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client().await.unwrap(), &namespace);
    assert_eq!(maps.get("two").await.unwrap().data.unwrap()["of"], "two");
    let labelled = cluster
        .kubectl(&["get", "namespaces", "-l", "env=staging", "-o", "name"])
        .await
        .unwrap();
    assert!(labelled.contains(&namespace), "{labelled}");
}

#[tokio::test]
async fn a_refusal_of_kubectl_carries_what_it_said() {
    let cluster = ControlPlane::shared().await.unwrap();

    let refused = cluster.kubectl(&["get", "configmap", "absent"]).await.unwrap_err();

    assert!(
        refused.to_string().contains(r#"configmaps "absent" not found"#),
        "{refused}"
    );
}

#[tokio::test]
async fn namespaces_of_the_same_prefix_are_distinct() {
    let cluster = ControlPlane::shared().await.unwrap();

    let one = cluster.create_namespace("twin", &[]).await.unwrap();
    let two = cluster.create_namespace("twin", &[]).await.unwrap();

    assert_ne!(one, two);
}

#[tokio::test]
async fn a_service_account_may_do_what_rbac_grants_it_and_nothing_else() {
    let cluster = ControlPlane::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    let namespace = cluster.create_namespace("rbac", &[]).await.unwrap();
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some("reader".into()),
            ..Default::default()
        },
        ..Default::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client, &namespace);
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let reader = cluster.client_of_service_account(&namespace, "reader").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(reader.clone(), &namespace);

    let forbidden = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(
        matches!(&forbidden, kube::Error::Api(status) if status.code == 403),
        "{forbidden}"
    );

    let grantee = format!("--serviceaccount={namespace}:reader");
    cluster
        .kubectl(&[
            "create",
            "rolebinding",
            "reads",
            "--clusterrole=view",
            &grantee,
            "-n",
            &namespace,
        ])
        .await
        .unwrap();
    eventually(SOON, "the grant is in force", async || {
        maps.list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    let elsewhere: Api<ConfigMap> = Api::namespaced(reader, "default");
    elsewhere.list(&ListParams::default()).await.unwrap_err();
}

#[tokio::test]
async fn a_user_has_the_name_and_group_of_its_kubeconfig() {
    let cluster = ControlPlane::shared().await.unwrap();
    let kubeconfig = cluster.kubeconfig_of_user("dana", Some("team-shop")).unwrap();

    let whoami = cluster
        .kubectl_as(&kubeconfig, &["auth", "whoami", "-o", "yaml"])
        .await
        .unwrap();

    for expected in ["username: dana", "- team-shop"] {
        assert!(whoami.contains(expected), "{whoami}");
    }
}

#[tokio::test]
async fn a_deleted_namespace_ends() {
    let cluster = ControlPlane::shared().await.unwrap();
    let namespace = cluster.create_namespace("short-lived", &[]).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(cluster.client().await.unwrap());

    namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();

    eventually(SOON, "the namespace is gone", async || {
        match namespaces.get_opt(&namespace).await {
            Ok(None) => Ok(()),
            Ok(Some(still)) => Err(format!("{:?}", still.status)),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_programs_inherit_nothing_of_our_environment_but_the_path() {
    let cluster = ControlPlane::shared().await.unwrap();

    let programs = ["etcd", "kube-apiserver", "kube-controller-manager"];
    let is_program = |process: &PathBuf| {
        fs::read_link(process.join("exe")).is_ok_and(|exe| programs.iter().any(|program| exe.ends_with(program)))
    };
    let processes: Vec<PathBuf> = processes_in(cluster.folder()).into_iter().filter(is_program).collect();
    assert_eq!(processes.len(), programs.len(), "{processes:?}");
    let inherited: BTreeSet<String> = processes.iter().flat_map(|process| names(process)).collect();

    // The shell's own beside the two that are given.
    let known = ["HOME", "PATH", "PWD", "OLDPWD", "SHLVL", "_"];
    let unknown: Vec<_> = inherited
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert!(inherited.contains("PATH"), "read nobody's environment: {inherited:?}");
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[tokio::test]
async fn a_program_of_ours_is_signalled_ends_and_leaves_a_log() {
    let cluster = ControlPlane::shared().await.unwrap();
    let script = "trap 'echo bye; exit 7' TERM; echo $GREETING; while :; do sleep 0.02; done";
    let arguments = ["-c".to_owned(), script.to_owned()];
    let mut program = cluster
        .run("polite", Path::new("/bin/sh"), &arguments, &[("GREETING", "hello")])
        .unwrap();
    eventually(SOON, "it has started", async || match program.log_tail().as_str() {
        "hello\n" => Ok(()),
        other => Err(other.to_owned()),
    })
    .await
    .unwrap();
    program.still_runs().unwrap();

    program.signal("TERM").unwrap();

    let ended = async || program.ended().unwrap().ok_or_else(|| "it runs".to_owned());
    let status = eventually(SOON, "it has ended", ended).await.unwrap();
    assert_eq!((status.code(), program.log_tail().as_str()), (Some(7), "hello\nbye\n"));
    program.still_runs().unwrap_err();
}

#[tokio::test]
async fn a_dropped_program_of_ours_is_gone() {
    let cluster = ControlPlane::shared().await.unwrap();
    let program = cluster
        .run("sleeper", Path::new("/bin/sleep"), &["600".to_owned()], &[])
        .unwrap();
    let id = eventually(SOON, "it has started", async || {
        program.id().map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    let entry = PathBuf::from(format!("/proc/{id}"));
    assert!(entry.exists());

    drop(program);

    assert!(!entry.exists());
}

#[tokio::test]
async fn a_restart_of_the_api_server_keeps_data_port_and_clients() {
    let mut cluster = ControlPlane::start(Options::default()).await.unwrap();
    let namespace = cluster.create_namespace("kept", &[]).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(cluster.client().await.unwrap());
    let before = namespaces.get(&namespace).await.unwrap().uid();
    let server = cluster.server();

    cluster.restart_apiserver().await.unwrap();

    assert_eq!(cluster.server(), server);
    assert_eq!(namespaces.get(&namespace).await.unwrap().uid(), before);
}

#[tokio::test]
async fn a_dropped_control_plane_leaves_nothing_behind() {
    let cluster = ControlPlane::start(Options {
        controllers: Vec::new(),
        ..Options::default()
    })
    .await
    .unwrap();
    let folder = cluster.folder().to_path_buf();
    assert!(!processes_in(&folder).is_empty());

    drop(cluster);

    assert_eq!(processes_in(&folder), Vec::<PathBuf>::new());
    eventually(SOON, "the folder is gone", async || {
        if folder.exists() {
            Err("it is there".into())
        } else {
            Ok(())
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_test_process_killed_by_sigkill_leaves_nothing_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let held = scratch.path().join("held");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "harness::holds_a_control_plane_until_it_is_killed",
        ])
        .env(HELD, &held)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let folder = eventually(SOON * 3, "the victim has a control plane", async || {
        assert!(victim.try_wait().unwrap().is_none(), "the victim ended by itself");
        fs::read_to_string(&held)
            .map(PathBuf::from)
            .map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    assert!(processes_in(&folder).len() >= 2, "{:?}", processes_in(&folder));

    victim.kill().unwrap();
    assert_eq!(victim.wait().unwrap().signal(), Some(9));

    eventually(SOON, "no process and no folder is left", async || {
        let left = processes_in(&folder);
        if left.is_empty() && !folder.exists() {
            Ok(())
        } else {
            Err(format!("{left:?}, {}", folder.display()))
        }
    })
    .await
    .unwrap();
}

/// Only the test above runs this, in a process of its own.
#[tokio::test]
#[ignore = "the victim of a_test_process_killed_by_sigkill_leaves_nothing_behind"]
async fn holds_a_control_plane_until_it_is_killed() {
    let Some(held) = std::env::var_os(HELD).map(PathBuf::from) else {
        return;
    };
    let cluster = ControlPlane::start(Options {
        controllers: Vec::new(),
        ..Options::default()
    })
    .await
    .unwrap();
    let unfinished = held.with_extension("unfinished");
    fs::write(&unfinished, cluster.folder().to_str().unwrap()).unwrap();
    fs::rename(unfinished, held).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_reported_with_its_log() {
    let options = Options {
        controllers: vec!["no-such-controller"],
        ..Options::default()
    };

    let Err(refused) = ControlPlane::start(options).await else {
        panic!("it started")
    };

    assert!(
        matches!(&refused, Error::Exited { name, .. } if name == "kube-controller-manager"),
        "{refused}"
    );
    assert!(refused.to_string().contains("no-such-controller"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn waiting_in_vain_says_for_what_and_what_was_seen_last() {
    let mut looks = 0;

    let refused = eventually(Duration::from_secs(1), "three is four", async || {
        looks += 1;
        Err::<(), _>(format!("look {looks}"))
    })
    .await
    .unwrap_err();

    assert!(looks > 1);
    assert_eq!(
        refused.to_string(),
        format!("waited 1s in vain until three is four; last seen: look {looks}")
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_even_when_a_look_does_not() {
    let refused = eventually(Duration::from_secs(1), "it ends", async || {
        std::future::pending::<()>().await;
        Ok(())
    })
    .await
    .unwrap_err();

    assert_eq!(
        refused.to_string(),
        "waited 1s in vain until it ends; last seen: nothing: the first look did not end"
    );
}

/// The `/proc` entries of the processes that work in `folder`, as all of a control plane do.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    // As text: the kernel appends " (deleted)" when the folder is gone before its process.
    let folder = folder.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    // A process may end between the two calls; then it has no working directory to read, and is not one of them.
    let works_there =
        |entry: &PathBuf| fs::read_link(entry.join("cwd")).is_ok_and(|at| at.to_string_lossy().starts_with(folder));
    entries.filter(works_there).collect()
}

fn names(process: &Path) -> Vec<String> {
    let environment = fs::read(process.join("environ")).unwrap();
    let variables = environment
        .split(|byte| *byte == 0)
        .filter(|variable| !variable.is_empty());
    variables
        .map(|variable| String::from_utf8_lossy(variable).split('=').next().unwrap().to_owned())
        .collect()
}
