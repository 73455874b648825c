//! Apps and their versions.

use axum::http::Method;

use super::*;
use crate::api::handlers::apps;

const NO_APP: Answer = answer(404, Json("Error"), "There is no such app, version or task hub.");
const LIMITED: Answer = answer(
    403,
    Json("Error"),
    "A limit of the task hub is reached; or the request comes from a web page of another origin, or under a name that is not the host's.",
);
const DEPLOYED: Answer = answer(200, Json("App"), "The version, and whether anything has changed.");
const DEPLOYED_VISIBLY: Answer = answer(
    200,
    JsonOrLines("App", "DeploymentProgress"),
    "The version, and whether anything has changed; if `progress` is true, as the last of several lines.",
);
const FUNCTION_TAKEN: Answer = answer(409, Json("Error"), "A function of this name belongs to another app.");

pub(super) static APPS: Group = Group {
    name: "apps",
    description: "Apps and their versions. A version is named by its label, or by at least the first six digits of its digest. \
                  A label names one version: the last one that was deployed under it.",
    bases: &[""],
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, LONG_ADDRESS, TOO_MANY, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::GET,
            pattern: "admin/apps",
            operation: "listApps",
            summary: "The active version of each app.",
            parameters: &[],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("AppList"), "All apps."), NO_HUB],
            handler: |call| Box::pin(apps::apps(call)),
        },
        Route {
            method: Method::POST,
            pattern: "admin/apps/{appName}",
            operation: "deployApp",
            summary: "Deploys a version of an app. It becomes the active one, or gets a share of the new starts.",
            parameters: &[&LABEL.about, &WEIGHT.about, &PROGRESS.about],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Module,
            answers: &[DEPLOYED_VISIBLY, LIMITED, NO_HUB, FUNCTION_TAKEN, TOO_LARGE, DISK_FULL],
            handler: |call| Box::pin(apps::deploy(call)),
        },
        Route {
            method: Method::GET,
            pattern: "admin/apps/{appName}",
            operation: "listVersions",
            summary: "All versions of an app, oldest first, and how many instances run on each.",
            parameters: &[],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("VersionList"), "All versions."), NO_APP],
            handler: |call| Box::pin(apps::versions(call)),
        },
        Route {
            method: Method::DELETE,
            pattern: "admin/apps/{appName}",
            operation: "undeployApp",
            summary: "Removes an app with all of its versions. Histories of instances that have ended stay.",
            parameters: &[&WITH_INSTANCES.about],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Nothing,
            answers: &[
                answer(200, Json("Undeployed"), "What was removed."),
                NO_APP,
                answer(409, Json("Error"), "Instances use it: the body says how many."),
                DISK_FULL,
            ],
            handler: |call| Box::pin(apps::undeploy(call)),
        },
        Route {
            method: Method::POST,
            pattern: "admin/apps/{appName}/activate",
            operation: "activateVersion",
            summary: "Directs all new starts to a version. Running instances stay on theirs.",
            parameters: &[&OF_VERSION.about],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Nothing,
            answers: &[DEPLOYED, NO_APP, FUNCTION_TAKEN, DISK_FULL],
            handler: |call| Box::pin(apps::activate(call)),
        },
        Route {
            method: Method::POST,
            pattern: "admin/apps/{appName}/rollback",
            operation: "rollBack",
            summary: "Takes the new starts away from the newest version that gets any: they go to the versions that shared them, or \
                      else to the one that was active before.",
            parameters: &[],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Nothing,
            answers: &[
                answer(200, Json("RolledBack"), "The version that lost the new starts, and the active one."),
                NO_APP,
                answer(409, Json("Error"), "There is no version to go back to, or a function of it belongs to another app."),
                DISK_FULL,
            ],
            handler: |call| Box::pin(apps::roll_back(call)),
        },
        Route {
            method: Method::POST,
            pattern: "admin/apps/{appName}/weights",
            operation: "weighVersions",
            summary: "Shares new starts among versions: an object of versions and their weights. Versions not in it get none.",
            parameters: &[],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Payload,
            answers: &[answer(200, Json("VersionList"), "All versions."), NO_APP, FUNCTION_TAKEN, TOO_LARGE, DISK_FULL],
            handler: |call| Box::pin(apps::weigh(call)),
        },
        Route {
            method: Method::DELETE,
            pattern: "admin/apps/{appName}/versions/{version}",
            operation: "removeVersion",
            summary: "Removes a version that takes no new starts and that no instance runs on.",
            parameters: &[&DRY_RUN.about],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Nothing,
            answers: &[
                answer(200, Json("Pruned"), "What was removed."),
                NO_APP,
                answer(409, Json("Error"), "It is in use."),
                DISK_FULL,
            ],
            handler: |call| Box::pin(apps::remove(call)),
        },
        Route {
            method: Method::POST,
            pattern: "admin/apps/{appName}/prune",
            operation: "pruneVersions",
            summary: "Removes every version that takes no new starts and that no instance runs on.",
            parameters: &[&DRY_RUN.about],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("Pruned"), "What was removed."), NO_APP, DISK_FULL],
            handler: |call| Box::pin(apps::prune(call)),
        },
        Route {
            method: Method::GET,
            pattern: "admin/apps/{appName}/diff",
            operation: "diffVersions",
            summary: "What has changed from one version to another: functions and imports.",
            parameters: &[&DIFF_FROM.about, &DIFF_TO.about],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("Difference"), "The difference."), NO_APP],
            handler: |call| Box::pin(apps::diff(call)),
        },
        Route {
            method: Method::POST,
            pattern: "admin/apps/{appName}/check",
            operation: "checkVersion",
            summary: "Replays the histories of the app's instances against the body, or a deployed version. Changes nothing.",
            parameters: &[&CHECKED_VERSION.about, &SAMPLE.about],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Module,
            answers: &[
                answer(200, Lines("ReplayProgress"), "One line for each instance, as they are replayed."),
                NO_APP,
                TOO_LARGE,
            ],
            handler: |call| Box::pin(apps::check(call)),
        },
        Route {
            method: Method::POST,
            pattern: "admin/apps/{appName}/migrate",
            operation: "migrateInstances",
            summary: "Moves instances to a version that their histories pass: those named as `{\"instances\": [...]}`, or all.",
            parameters: &[&OF_VERSION.about],
            needs: Needs::Hub(Role::Deploy),
            takes: BodyKind::Payload,
            answers: &[answer(200, Lines("ReplayProgress"), "One line for each instance, as they are moved."), NO_APP, TOO_LARGE],
            handler: |call| Box::pin(apps::migrate(call)),
        },
    ],
};
