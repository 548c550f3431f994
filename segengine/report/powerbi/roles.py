"""Row-level security: roles that see the customers of some values of an attribute, and nothing that is of all."""

from __future__ import annotations

from dataclasses import replace

from segengine.report.powerbi.facts import Options
from segengine.report.powerbi.model import Field, Model, ModelTable, Role
from segengine.report.powerbi.names import dax_column, dax_table, dax_text, m_text, one_line

__all__ = ["DYNAMIC", "USERS", "with_roles"]

USERS = "User Access"
DYNAMIC = "By user"
OPEN = ("segments", "dates")
"""Tables that every role may read, without the columns of TOLD."""
TOLD = ("description", "rule_precision", "rule_coverage")
"""Columns of segments that say how many customers there are in all, and what they bring."""


def with_roles(model: Model, options: Options) -> Model:
    """The model with a role for each entry of `rls_roles`, and one that looks the user up in `rls_users`.

    A restricted role sees rows of customers with its values; a table that is not of single customers it does not see.
    """
    attribute = options.rls_attribute
    if attribute is None or not (options.rls_roles or options.rls_users):
        return model
    customers = model.table_of("customers")
    field = customers.field_of(attribute) if customers is not None else None
    if customers is None or field is None:
        reason = "the model has no customers" if customers is None else f"customers have no attribute {attribute}"
        return replace(model, left_out=(*model.left_out, ("row-level security", reason)))
    column = dax_table(customers.name) + dax_column(field.name)
    roles = []
    for name, values in (options.rls_roles or {}).items():
        listed = ", ".join(dax_text(v) for v in values)
        roles.append(
            Role(
                one_line(name),
                f"Sees the customers whose {field.name} is {', '.join(values)}, and no totals of others.",
                {customers.name: f"{column} IN {{ {listed} }}", **_closed(model)},
                _sql(attribute, values),
            )
        )
    if options.rls_users:
        users = ModelTable(
            USERS,
            None,
            "Who may see which value: from the configuration; a user may have several rows.",
            (
                Field("User", "User", "string", "Sign-in name of the user.", hidden=True),
                Field("Value", "Value", "string", f"A value of {field.name} that the user may see.", hidden=True),
            ),
            rows=_rows(options),
            hidden=True,
        )
        mine = f"{dax_table(USERS)}[User] = USERPRINCIPALNAME ()"
        dynamic = Role(
            DYNAMIC,
            f"Sees the customers whose {field.name} the table {USERS} gives to the signed-in user.",
            {
                customers.name: f"{column} IN CALCULATETABLE ( VALUES ( {dax_table(USERS)}[Value] ), {mine} )",
                USERS: mine,
                **_closed(model),
            },
            f"{_quoted(attribute)} IN (SELECT value FROM user_access WHERE user_name = :user_name)",
        )
        model = model.with_tables(users)
        roles = [replace(r, filters={**r.filters, USERS: "FALSE ()"}) for r in roles] + [dynamic]
    return replace(_untold(model), roles=tuple(roles))


def _untold(model: Model) -> Model:
    """The model without what its segments tell of all customers: a role filters rows, and no words."""
    tables, left_out = [], list(model.left_out)
    for table in model.tables:
        lost = [f for f in table.fields if table.source == "segments" and f.source in TOLD]
        left_out += [(f"column {table.name} {f.name}", "it tells of all customers, and there are roles") for f in lost]
        tables.append(replace(table, fields=tuple(f for f in table.fields if f not in lost)))
    return replace(model, tables=tuple(tables), left_out=tuple(left_out))


def _closed(model: Model) -> dict[str, str]:
    """A filter that lets nothing through, for every table whose rows are not of single customers."""
    closed = [
        table.name
        for table in model.tables
        if table.source not in (None, "customers", *OPEN) and not table.per_customer
    ]
    return dict.fromkeys(closed, "FALSE ()")


def _sql(attribute: str, values: tuple[str, ...]) -> str:
    listed = ", ".join("'" + v.replace("'", "''") + "'" for v in values)
    return f"{_quoted(attribute)} IN ({listed})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _rows(options: Options) -> str:
    pairs = [(user, value) for user, values in (options.rls_users or {}).items() for value in values]
    rows = ", ".join(f"{{{m_text(user)}, {m_text(value)}}}" for user, value in pairs)
    return f"let\n\tSource = #table(type table [User = text, Value = text], {{{rows}}})\nin\n\tSource"
