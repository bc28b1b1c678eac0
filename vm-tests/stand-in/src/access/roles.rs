//! Privileges and roles. The built-in ones come from groups of privileges (PVE::AccessControl, transcript 20).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::access::names;
use crate::access::user_config::UserConfig;
use crate::api::{Method, Returns, Verb};
use crate::command_line::parameter::{Parameter, Parameters};
use crate::command_line::table::Column;
use crate::context::Context;
use crate::failure::Failure;

/// Privileges of one subject, by who gets them.
struct Privileges {
    subject: &'static str,
    root: &'static [&'static str],
    admin: &'static [&'static str],
    user: &'static [&'static str],
    audit: &'static [&'static str],
}

const SUBJECTS: &[Privileges] = &[
    Privileges {
        subject: "VM",
        root: &[],
        admin: &[
            "VM.Allocate",
            "VM.Clone",
            "VM.Config.CPU",
            "VM.Config.Disk",
            "VM.Config.HWType",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.Options",
            "VM.GuestAgent.Unrestricted",
            "VM.Migrate",
            "VM.Replicate",
            "VM.Snapshot",
            "VM.Snapshot.Rollback",
        ],
        user: &[
            "VM.Backup",
            "VM.Config.CDROM",
            "VM.Config.Cloudinit",
            "VM.Console",
            "VM.GuestAgent.FileRead",
            "VM.GuestAgent.FileSystemMgmt",
            "VM.GuestAgent.FileWrite",
            "VM.PowerMgmt",
        ],
        audit: &["VM.Audit", "VM.GuestAgent.Audit"],
    },
    Privileges {
        subject: "Sys",
        root: &["Sys.AccessNetwork", "Sys.Incoming", "Sys.Modify", "Sys.PowerMgmt"],
        admin: &["Sys.Console", "Sys.Syslog"],
        user: &[],
        audit: &["Sys.Audit"],
    },
    Privileges {
        subject: "Datastore",
        root: &[],
        admin: &["Datastore.Allocate", "Datastore.AllocateTemplate"],
        user: &["Datastore.AllocateSpace"],
        audit: &["Datastore.Audit"],
    },
    Privileges {
        subject: "SDN",
        root: &[],
        admin: &["SDN.Allocate", "SDN.Audit"],
        user: &["SDN.Use"],
        audit: &["SDN.Audit"],
    },
    Privileges {
        subject: "User",
        root: &["Realm.Allocate"],
        admin: &["Group.Allocate", "Realm.AllocateUser", "User.Modify"],
        user: &[],
        audit: &[],
    },
    Privileges {
        subject: "Pool",
        root: &[],
        admin: &["Pool.Allocate"],
        user: &["Pool.Audit"],
        audit: &["Pool.Audit"],
    },
    Privileges {
        subject: "Mapping",
        root: &[],
        admin: &["Mapping.Modify"],
        user: &["Mapping.Use"],
        audit: &["Mapping.Audit"],
    },
];

/// The one role that may do everything.
pub const ADMINISTRATOR: &str = "Administrator";
/// The role that forbids everything.
pub const NO_ACCESS: &str = "NoAccess";

/// Every privilege there is.
pub fn privileges() -> BTreeSet<String> {
    let mut all: BTreeSet<String> = SUBJECTS
        .iter()
        .flat_map(|subject| [subject.root, subject.admin, subject.user, subject.audit])
        .flatten()
        .map(|privilege| (*privilege).to_owned())
        .collect();
    all.insert("Permissions.Modify".to_owned());
    all
}

/// True for a known privilege.
pub fn is_privilege(privilege: &str) -> bool {
    privileges().contains(privilege)
}

/// The roles that no file names.
pub fn built_in() -> BTreeMap<String, BTreeSet<String>> {
    let mut roles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |role: String, privileges: &[&str]| {
        roles.entry(role).or_default().extend(privileges.iter().map(|privilege| (*privilege).to_owned()));
    };
    add(NO_ACCESS.to_owned(), &[]);
    add("PVETemplateUser".to_owned(), &["VM.Audit", "VM.Clone"]);
    for subject in SUBJECTS {
        for privileges in [subject.admin, subject.user, subject.audit] {
            add(format!("PVE{}Admin", subject.subject), privileges);
            add("PVEAdmin".to_owned(), privileges);
        }
        if !subject.user.is_empty() {
            add(format!("PVE{}User", subject.subject), subject.user);
            add(format!("PVE{}User", subject.subject), subject.audit);
        }
        add("PVEAuditor".to_owned(), subject.audit);
    }
    if let Some(admin) = roles.get_mut("PVEAdmin") {
        admin.remove("Mapping.Modify");
    }
    roles.insert(ADMINISTRATOR.to_owned(), privileges());
    roles
}

/// True for the roles that no file names.
pub fn is_built_in(role: &str) -> bool {
    built_in().contains_key(role)
}

const ROLE: Parameter = Parameter::text("roleid").format(names::role);
const PRIVILEGES: Parameter = Parameter::list("privs").optional();

static COLUMNS: [Column<'static>; 3] =
    [Column::text("roleid"), Column::text("privs"), Column::text("special")];

/// GET /access/roles
pub static LIST: Method =
    Method::new(Verb::Get, "/access/roles", list).returns(Returns::List(&COLUMNS)).children("roleid");
/// POST /access/roles
pub static CREATE: Method =
    Method::new(Verb::Create, "/access/roles", create).parameters(&[ROLE, PRIVILEGES]);
/// GET /access/roles/{roleid}
pub static READ: Method =
    Method::new(Verb::Get, "/access/roles/{roleid}", read).parameters(&[ROLE]).returns(Returns::Object);
/// PUT /access/roles/{roleid}
pub static UPDATE: Method = Method::new(Verb::Set, "/access/roles/{roleid}", update).parameters(&[
    ROLE,
    PRIVILEGES,
    Parameter::boolean("append").optional(),
]);
/// DELETE /access/roles/{roleid}
pub static DELETE: Method = Method::new(Verb::Delete, "/access/roles/{roleid}", delete).parameters(&[ROLE]);

fn list(context: &Context, _parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let rows = config.roles.iter().map(|(name, privileges)| {
        let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
        // Perl's false: an empty string where the role is not special.
        let special = if is_built_in(name) { json!(1) } else { json!("") };
        json!({ "roleid": name, "privs": privileges.join(","), "special": special })
    });
    Ok(rows.collect())
}

fn read(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let config = UserConfig::read(context)?;
    let role = parameters.text("roleid");
    let privileges = config.roles.get(role).ok_or_else(|| no_such_role(role))?;
    Ok(privileges.iter().map(|privilege| (privilege.clone(), json!(1))).collect())
}

fn create(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let role = parameters.text("roleid");
    if role.to_lowercase().starts_with("pve") {
        let text = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        return Err(Failure::parameter(255, "roleid", text));
    }
    UserConfig::change(context, "create role failed", |config| {
        if config.roles.contains_key(role) {
            return Err(Failure::die(format!("role '{role}' already exists")));
        }
        config.roles.insert(role.to_owned(), given(parameters)?);
        Ok(Value::Null)
    })
}

fn update(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let role = parameters.text("roleid");
    if is_built_in(role) {
        return Err(Failure::die(format!("auto-generated role '{role}' cannot be modified")));
    }
    UserConfig::change(context, "update role failed", |config| {
        let own = config.roles.get_mut(role).ok_or_else(|| no_such_role(role))?;
        if parameters.flag("append") != Some(true) {
            own.clear();
        }
        own.extend(given(parameters)?);
        Ok(Value::Null)
    })
}

fn delete(context: &Context, parameters: &Parameters) -> Result<Value, Failure> {
    let role = parameters.text("roleid");
    if is_built_in(role) {
        return Err(Failure::die(format!("auto-generated role '{role}' cannot be deleted")));
    }
    UserConfig::change(context, "delete role failed", |config| {
        config.roles.remove(role).ok_or_else(|| no_such_role(role))?;
        Ok(Value::Null)
    })
}

fn given(parameters: &Parameters) -> Result<BTreeSet<String>, Failure> {
    let privileges = parameters.entries("privs");
    match privileges.iter().find(|privilege| !is_privilege(privilege)) {
        Some(unknown) => Err(Failure::die(format!("invalid privilege '{unknown}'"))),
        None => Ok(privileges.into_iter().map(str::to_owned).collect()),
    }
}

fn no_such_role(role: &str) -> Failure {
    Failure::die(format!("role '{role}' does not exist"))
}
