"""The tables of the sandbox.

An annotation (localization or state) is a chain of *marks*, one row each. ``live`` says what a row is now, and is kept
right by every write, so that lists and counts need no window query:

====  ================================================
live  meaning
====  ================================================
2     newest mark, visible
1     newest mark, a tombstone
0     an older mark
-1    hidden for good because its media was deleted
====  ================================================

Datetimes are UTC text with six decimals and without zone (``2026-01-02T03:04:05.678901``): they sort as text.
"""

VISIBLE, TOMBSTONE, OLD, HIDDEN = 2, 1, 0, -1

TABLES = """
create table if not exists meta (key text primary key, value text not null);
create table if not exists user (
    id integer primary key autoincrement, username text not null unique, first_name text not null default '',
    last_name text not null default '', email text not null default '', is_staff integer not null default 0,
    elemental_id text not null, token text not null unique, password text not null, profile text not null default '{}'
);
create table if not exists organization (id integer primary key autoincrement, name text not null);
create table if not exists affiliation (
    organization integer not null, user integer not null, permission text not null, primary key (organization, user)
);
create table if not exists project (
    id integer primary key autoincrement, name text not null, summary text not null default '',
    organization integer not null, elemental_id text not null, created text not null, created_by integer
);
create table if not exists membership (
    id integer primary key autoincrement, project integer not null, user integer not null, permission text not null,
    default_version integer, unique (project, user)
);
create table if not exists version (
    id integer primary key autoincrement, project integer not null, name text not null,
    description text not null default '', show_empty integer not null default 1, elemental_id text not null,
    number integer not null, created_by integer, bases text not null default '[]'
);
create table if not exists media_type (
    id integer primary key autoincrement, project integer not null, name text not null, dtype text not null,
    data text not null
);
create table if not exists localization_type (
    id integer primary key autoincrement, project integer not null, name text not null, dtype text not null,
    data text not null
);
create table if not exists state_type (
    id integer primary key autoincrement, project integer not null, name text not null, dtype text not null,
    data text not null
);
create table if not exists section (
    id integer primary key autoincrement, project integer not null, name text not null, path text not null,
    tator_user_sections text not null, elemental_id text not null, created_datetime text not null, created_by integer
);
create table if not exists media (
    id integer primary key autoincrement, project integer not null, type integer not null, name text not null,
    section integer, attributes text not null default '{}', media_files text not null default '{}', width integer,
    height integer, num_frames integer, fps real, codec text, md5 text, elemental_id text not null,
    created_by integer, created_datetime text not null, modified_by integer, modified_datetime text not null,
    deleted integer not null default 0
);
create index if not exists media_by_name on media (project, deleted, name, id);
create table if not exists localization (
    id integer primary key autoincrement, project integer not null, type integer not null, media integer not null,
    version integer not null, frame integer, x real, y real, width real, height real, u real, v real, points text,
    attributes text not null, elemental_id text not null, mark integer not null, parent integer,
    variant_deleted integer not null, created_by integer, created_datetime text not null, modified_by integer,
    modified_datetime text not null, live integer not null
);
create table if not exists state (
    id integer primary key autoincrement, project integer not null, type integer not null, version integer not null,
    frame integer, attributes text not null, elemental_id text not null, mark integer not null, parent integer,
    variant_deleted integer not null, created_by integer, created_datetime text not null, modified_by integer,
    modified_datetime text not null, live integer not null
);
create table if not exists state_localization (
    state integer not null, localization integer not null, primary key (state, localization)
) without rowid;
create index if not exists state_of_localization on state_localization (localization);
create table if not exists state_media (
    state integer not null, media integer not null, primary key (state, media)
) without rowid;
create index if not exists state_of_media on state_media (media);
create table if not exists hosted_template (
    id integer primary key autoincrement, organization integer not null, name text not null, url text not null,
    headers text not null default '[]', tparams text not null default '[]'
);
create table if not exists applet (
    id integer primary key autoincrement, project integer not null, name text not null,
    description text not null default '', categories text not null default '[]', template integer,
    tparams text not null default '[]', headers text not null default '[]', html_file text not null default ''
);
"""

LOCALIZATION_COLUMNS = (
    "id", "project", "type", "media", "version", "frame", "x", "y", "width", "height", "u", "v", "points",
    "attributes", "elemental_id", "mark", "parent", "variant_deleted", "created_by", "created_datetime",
    "modified_by", "modified_datetime", "live",
)  # fmt: skip
STATE_COLUMNS = (
    "id", "project", "type", "version", "frame", "attributes", "elemental_id", "mark", "parent", "variant_deleted",
    "created_by", "created_datetime", "modified_by", "modified_datetime", "live",
)  # fmt: skip

# Annotations are read by (project, version, type) in the order of ids, which every index ends with.
INDEXES = {
    f"{table}_{name}": f"create index if not exists {table}_{name} on {table} {columns}"
    for table in ("localization", "state")
    for name, columns in {
        "by_type": "(project, version, type, live)",
        "by_version": "(project, version, live)",
        "by_project": "(project, live)",
        "by_element": "(elemental_id, version, mark)",
        "by_parent": "(parent) where parent is not null",
    }.items()
}
INDEXES["localization_by_media"] = "create index if not exists localization_by_media on localization (media, live)"
