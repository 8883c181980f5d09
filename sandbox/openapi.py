"""The OpenAPI document of the sandbox, from which tator-py builds its client.

Schemas are written in a short form: ``name:type`` words. A type is ``int``, ``num``, ``str``, ``bool``, ``any``, the
name of another schema, and with ``*`` a list of it; ``!`` after the name means required.
"""

import functools
import json
from typing import Any

import yaml

_STAMPS = "created_by:int created_datetime:str modified_by:int modified_datetime:str"
_ROW = (
    "id:int type:int version:int frame:int attributes:any elemental_id:str mark:int parent:num "
    f"variant_deleted:bool {_STAMPS} effective_permission:int"
)
_GEOMETRY = "x:num y:num width:num height:num u:num v:num points:any*"
_CHOICE = "ids:int* elemental_ids:str* media_ids:int* object_search:any"
_EDIT = "attributes:any user_elemental_id:str null_attributes:str* reset_attributes:str* in_place:int"
_TYPE = (
    "id:int project:int name:str description:str dtype:str attribute_types:AttributeType* "
    "elemental_id:str visible:bool effective_permission:int"
)

_SCHEMAS = {
    "Applet": (
        "id:int project:int name:str description:str categories:str* template:int tparams:Parameter* "
        "html_file:str rendered:str"
    ),
    "AppletSpec": (
        "name:str html_file:str description:str categories:str* template:int tparams:Parameter* "
        "headers:Parameter*"
    ),
    "AttributeType": (
        "name:str description:str dtype:str required:bool order:int default:any minimum:num maximum:num "
        "choices:str* use_current:bool size:int style:str"
    ),
    "AudioDefinition": "path:str size:int codec:str bit_rate:int codec_description:str",
    "BadRequestResponse": "message:str details:str",
    "CreateListResponse": "message:str id:int*",
    "CreateResponse": "message:str id:int object:any",
    "Credentials": "username!:str password!:str refresh:bool",
    "HostedTemplate": "id:int name:str organization:int url:str tparams:Parameter* effective_permission:int",
    "HostedTemplateSpec": "name!:str url!:str tparams:Parameter* headers:Parameter*",
    "ImageDefinition": "path:str size:int mime:str resolution:int*",
    "Localization": f"project:int media:int thumbnail_image:str user:int {_ROW} {_GEOMETRY}",
    "LocalizationBulkDelete": f"prune:int pedantic:int state_ids:int* {_CHOICE}",
    "LocalizationBulkUpdate": f"new_version:int state_ids:int* {_EDIT} {_CHOICE}",
    "LocalizationDelete": "prune:int pedantic:int",
    "LocalizationIdQuery": f"state_ids:int* {_CHOICE}",
    "LocalizationSpec": (
        "media_id!:int type!:int frame!:int version:int attributes:any elemental_id:str parent:num "
        f"user_elemental_id:str {_GEOMETRY}"
    ),
    "LocalizationType": f"{_TYPE} media:int* color_map:any line_width:int drawable:bool grouping_default:bool",
    "LocalizationUpdate": f"frame:int parent:num pedantic:int {_EDIT} {_GEOMETRY}",
    "Media": (
        "id:int project:int type:int name:str primary_section:int attributes:any media_files:MediaFiles "
        "elemental_id:str md5:str width:int height:int num_frames:int fps:num codec:str archive_state:str "
        f"{_STAMPS} effective_permission:int"
    ),
    "MediaFiles": (
        "archival:VideoDefinition* streaming:VideoDefinition* audio:AudioDefinition* image:ImageDefinition* "
        "thumbnail:ImageDefinition* thumbnail_gif:ImageDefinition*"
    ),
    "MediaIdQuery": "ids:int* localization_ids:int* object_search:any",
    "MediaType": f"{_TYPE} file_format:str default_volume:int",
    "Membership": (
        "id:int project:int user:int username:str first_name:str last_name:str email:str permission:str "
        "default_version:int"
    ),
    "MessageResponse": "message:str",
    "NotFoundResponse": "message:str",
    "Parameter": "name!:str value!:str",
    "Project": (
        "id:int name:str summary:str organization:int created:str num_files:int size:int duration:num "
        "permission:str effective_permission:int usernames:str* attribute_types:AttributeType* "
        "elemental_id:str thumb:str enable_downloads:bool"
    ),
    "Section": (
        "id:int project:int name:str path:str dtype:str tator_user_sections:str elemental_id:str visible:bool "
        "attributes:any media:int* created_by:int created_datetime:str explicit_listing:bool"
    ),
    "SectionSpec": "name!:str",
    "State": f"segments:any* localizations:int* media:int* {_ROW}",
    "StateBulkDelete": f"prune:int pedantic:int localization_ids:int* {_CHOICE}",
    "StateBulkUpdate": f"new_version:int localization_ids:int* {_EDIT} {_CHOICE}",
    "StateDelete": "prune:int pedantic:int",
    "StateIdQuery": f"localization_ids:int* {_CHOICE}",
    "StateSpec": (
        "type!:int media_ids!:int* localization_ids:int* version:int frame:int attributes:any "
        "elemental_id:str parent:num user_elemental_id:str"
    ),
    "StateType": (
        f"{_TYPE} media:int* interpolation:str association:str grouping_default:bool "
        "delete_child_localizations:bool"
    ),
    "StateUpdate": f"frame:int parent:num pedantic:int localization_ids_add:int* localization_ids_remove:int* {_EDIT}",
    "Token": "token:str",
    "UpdatedLocalization": "message:str object:Localization",
    "UpdatedState": "message:str object:State",
    "User": "id:int username:str first_name:str last_name:str email:str is_staff:bool elemental_id:str profile:any",
    "Version": (
        "id:int project:int name:str description:str number:int show_empty:bool bases:int* elemental_id:str "
        "created_by:int effective_permission:int"
    ),
    "VersionSpec": "name!:str description:str show_empty:bool bases:int* number:int",
    "VideoDefinition": (
        "path:str size:int codec:str bit_rate:int resolution:int* segment_info:str codec_description:str "
        "reference_only:int"
    ),
}  # fmt: skip

_ATTRIBUTE = " ".join(
    f"{related}attribute{suffix}:str*"
    for related in ("", "related_")
    for suffix in ("", "_lt", "_lte", "_gt", "_gte", "_contains", "_null")
)
_SEARCH = (
    "after:int start:int stop:int section:int multi_section:int* media_id:int* elemental_id:str "
    f"sort_by:str* encoded_search:str encoded_related_search:str type:int {_ATTRIBUTE}"
)
_ANNOTATIONS = f"{_SEARCH} version:int* related_id:int* merge:int show_deleted:int show_all_marks:int frame:int"
_MEDIA = f"{_SEARCH} name:str dtype:str md5:str after_name:str"
_LINKS = "presigned:int no_cache:bool"

# method, path, operationId, query parameters, body, answer
_OPERATIONS: list[tuple[str, str, str, str, str, str]] = [
    ("get", "/rest/User/GetCurrent", "Whoami", "", "", "User"),
    ("get", "/rest/User/{id}", "GetUser", "", "", "User"),
    ("post", "/rest/Token", "CreateObtainAuthToken", "", "Credentials", "Token"),
    ("get", "/rest/Projects", "GetProjectList", "", "", "Project*"),
    ("get", "/rest/Project/{id}", "GetProject", "", "", "Project"),
    ("get", "/rest/Memberships/{project}", "GetMembershipList", "", "", "Membership*"),
    ("get", "/rest/Versions/{project}", "GetVersionList", "", "", "Version*"),
    ("post", "/rest/Versions/{project}", "CreateVersion", "", "VersionSpec", "CreateResponse"),
    ("get", "/rest/Version/{id}", "GetVersion", "", "", "Version"),
    ("delete", "/rest/Version/{id}", "DeleteVersion", "", "", "MessageResponse"),
    ("get", "/rest/Sections/{project}", "GetSectionList", "", "", "Section*"),
    ("post", "/rest/Sections/{project}", "CreateSection", "", "SectionSpec", "CreateResponse"),
    ("get", "/rest/Medias/{project}", "GetMediaList", f"{_MEDIA} {_LINKS} fields:str", "", "Media*"),
    ("put", "/rest/Medias/{project}", "GetMediaListById", f"{_MEDIA} {_LINKS} fields:str", "MediaIdQuery", "Media*"),
    ("get", "/rest/MediaCount/{project}", "GetMediaCount", _MEDIA, "", "int"),
    ("put", "/rest/MediaCount/{project}", "GetMediaCountById", _MEDIA, "MediaIdQuery", "int"),
    ("get", "/rest/Media/{id}", "GetMedia", _LINKS, "", "Media"),
    ("delete", "/rest/Media/{id}", "DeleteMedia", "", "", "MessageResponse"),
    ("get", "/rest/HostedTemplates/{organization}", "GetHostedTemplateList", "", "", "HostedTemplate*"),
    ("post", "/rest/HostedTemplates/{organization}", "CreateHostedTemplate", "", "HostedTemplateSpec",
     "CreateResponse"),
    ("get", "/rest/HostedTemplate/{id}", "GetHostedTemplate", "", "", "HostedTemplate"),
    ("patch", "/rest/HostedTemplate/{id}", "UpdateHostedTemplate", "", "HostedTemplateSpec", "MessageResponse"),
    ("delete", "/rest/HostedTemplate/{id}", "DeleteHostedTemplate", "", "", "MessageResponse"),
    ("get", "/rest/Applets/{project}", "GetAppletList", "", "", "Applet*"),
    ("post", "/rest/Applets/{project}", "RegisterApplet", "", "AppletSpec", "CreateResponse"),
    ("get", "/rest/Applet/{id}", "GetApplet", "", "", "Applet"),
    ("patch", "/rest/Applet/{id}", "UpdateApplet", "", "AppletSpec", "MessageResponse"),
    ("delete", "/rest/Applet/{id}", "DeleteApplet", "", "", "MessageResponse"),
]  # fmt: skip
for _kind in ("Media", "Localization", "State"):
    _OPERATIONS += [
        ("get", f"/rest/{_kind}Types/{{project}}", f"Get{_kind}TypeList", "", "", f"{_kind}Type*"),
        ("get", f"/rest/{_kind}Type/{{id}}", f"Get{_kind}Type", "", "", f"{_kind}Type"),
    ]
for _kind in ("Localization", "State"):
    _list, _counts, _one = (f"/rest/{_kind}{suffix}" for suffix in ("s/{project}", "Count/{project}", ""))
    _OPERATIONS += [
        ("get", _list, f"Get{_kind}List", f"{_ANNOTATIONS} fields:str", "", f"{_kind}*"),
        ("put", _list, f"Get{_kind}ListById", f"{_ANNOTATIONS} fields:str", f"{_kind}IdQuery", f"{_kind}*"),
        ("post", _list, f"Create{_kind}List", "", f"{_kind}Spec*", "CreateListResponse"),
        ("patch", _list, f"Update{_kind}List", f"{_ANNOTATIONS} count:int", f"{_kind}BulkUpdate", "MessageResponse"),
        ("delete", _list, f"Delete{_kind}List", f"{_ANNOTATIONS} count:int", f"{_kind}BulkDelete", "MessageResponse"),
        ("get", _counts, f"Get{_kind}Count", _ANNOTATIONS, "", "int"),
        ("put", _counts, f"Get{_kind}CountById", _ANNOTATIONS, f"{_kind}IdQuery", "int"),
    ]
    for _suffix, _path, _query in (("", "/{id}", ""), ("ByElementalId", "/{version}/{elemental_id}", "mark:int")):
        _OPERATIONS += [
            ("get", _one + _path, f"Get{_kind}{_suffix}", _query, "", _kind),
            ("patch", _one + _path, f"Update{_kind}{_suffix}", "", f"{_kind}Update", f"Updated{_kind}"),
            ("delete", _one + _path, f"Delete{_kind}{_suffix}", "", f"{_kind}Delete", "CreateResponse"),
        ]

_PLAIN = {"int": "integer", "num": "number", "str": "string", "bool": "boolean"}


def _schema(word: str) -> dict[str, Any]:
    if word.endswith("*"):
        return {"type": "array", "items": _schema(word[:-1])}
    if word in _PLAIN:
        return {"type": _PLAIN[word], "nullable": True}
    return {} if word == "any" else {"$ref": f"#/components/schemas/{word}"}


def _object(text: str) -> dict[str, Any]:
    properties = {}
    required = []
    for word in text.split():
        name, _, kind = word.partition(":")
        properties[name.rstrip("!")] = _schema(kind)
        required += [name[:-1]] if name.endswith("!") else []
    found = {"type": "object", "properties": properties}
    return {**found, "required": required} if required else found


def _parameters(path: str, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in path.split("/"):
        if part.startswith("{"):
            kind = "str" if part == "{elemental_id}" else "int"
            found.append({"name": part[1:-1], "in": "path", "required": True, "schema": {"type": _PLAIN[kind]}})
    for word in query.split():
        name, _, kind = word.partition(":")
        parameter = {"name": name, "in": "query", "schema": _schema(kind)}
        found.append({**parameter, "explode": False} if kind.endswith("*") else parameter)
    return found


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _operation(path: str, name: str, query: str, body: str, result: str, status: str) -> dict[str, Any]:
    responses = {
        "400": {"description": "refused", "content": _content(_schema("BadRequestResponse"))},
        "404": {"description": "not found", "content": _content(_schema("NotFoundResponse"))},
        status: {"description": "done", "content": _content(_schema(result))},
    }
    found: dict[str, Any] = {"operationId": name, "tags": ["Tator"], "parameters": _parameters(path, query)}
    if body:
        schema = _schema(body)
        if body.endswith("*"):
            schema = {"oneOf": [{**schema, "maxItems": 500}, schema["items"]]}
        found["requestBody"] = {"required": not body.endswith("Delete"), "content": _content(schema)}
    return {**found, "responses": responses}


@functools.cache
def document() -> dict[str, Any]:
    """The OpenAPI document.

    Returns:
        the document; do not change it
    """
    paths: dict[str, dict[str, Any]] = {}
    for method, path, name, query, body, result in _OPERATIONS:
        status = "201" if method == "post" else "200"
        paths.setdefault(path, {})[method] = _operation(path, name, query, body, result, status)
    return {
        "openapi": "3.0.2",
        "info": {"title": "Tator REST API as the sandbox has it", "version": "1.5"},
        "paths": paths,
        "components": {
            "schemas": {name: _object(text) for name, text in _SCHEMAS.items()},
            "securitySchemes": {
                "TokenAuth": {"type": "apiKey", "in": "header", "name": "Authorization"},
                "SessionAuth": {"type": "apiKey", "in": "header", "name": "X-CSRFToken"},
            },
        },
        "security": [{"TokenAuth": []}, {"SessionAuth": []}],
    }


@functools.cache
def as_json() -> bytes:
    """The document as JSON.

    Returns:
        UTF-8
    """
    return json.dumps(document()).encode()


class _Dumper(yaml.SafeDumper):
    """Writes everything out: readers of such documents do not expect anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never uses an alias.

        Args:
            data: any value

        Returns:
            true
        """
        return True


@functools.cache
def as_yaml() -> bytes:
    """The document as YAML.

    Returns:
        UTF-8
    """
    return yaml.dump(document(), Dumper=_Dumper, sort_keys=False).encode()
