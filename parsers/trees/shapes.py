"""What the trees of each grammar call a definition, and what is to be looked into for more."""

from __future__ import annotations

from typing import Final, NamedTuple


class Shape(NamedTuple):
    """Kinds of nodes, by what they are to somebody who looks for definitions."""

    leaves: frozenset[str]
    """Definitions; a long function may hold more of them."""
    scopes: frozenset[str]
    """Definitions whose members are definitions of their own, named after them."""
    through: frozenset[str]
    """None themselves; what they hold is as if it stood without them."""
    leading: frozenset[str]
    """Comments and marks that belong to what follows."""


def _shape(leaves: str = "", scopes: str = "", through: str = "", leading: str = "") -> Shape:
    return Shape(
        frozenset(leaves.split()),
        frozenset(scopes.split()),
        frozenset(("ERROR", *through.split())),
        frozenset(("comment", "line_comment", "block_comment", *leading.split())),
    )


_IFS: Final = "preproc_ifdef preproc_if preproc_else preproc_elif preproc_elifdef"
_SCRIPT: Final = _shape(
    "function_declaration generator_function_declaration method_definition function_signature"
    " method_signature abstract_method_signature interface_declaration type_alias_declaration"
    " enum_declaration field_definition public_field_definition pair lexical_declaration"
    " variable_declaration assignment_expression call_expression",
    "class_declaration abstract_class_declaration internal_module module",
    "export_statement ambient_declaration expression_statement statement_block if_statement",
    "decorator",
)

SHAPES: Final = {
    "c": _shape(
        "function_definition struct_specifier union_specifier enum_specifier type_definition"
        " preproc_function_def preproc_def declaration",
        "",
        f"{_IFS} linkage_specification declaration_list",
        "attribute_declaration",
    ),
    "c#": _shape(
        "method_declaration constructor_declaration destructor_declaration property_declaration"
        " operator_declaration conversion_operator_declaration indexer_declaration"
        " event_declaration delegate_declaration enum_declaration local_function_statement",
        "class_declaration struct_declaration interface_declaration record_declaration"
        " record_struct_declaration",
        f"{_IFS} namespace_declaration file_scoped_namespace_declaration declaration_list"
        " global_statement",
    ),
    "c++": _shape(
        "function_definition enum_specifier type_definition preproc_function_def preproc_def"
        " concept_definition declaration alias_declaration",
        "class_specifier struct_specifier union_specifier",
        f"{_IFS} linkage_specification declaration_list namespace_definition template_declaration",
        "attribute_declaration template_parameter_list requires_clause",
    ),
    "elixir": _shape("call", leading="unary_operator"),
    "go": _shape(
        "function_declaration method_declaration type_spec type_alias const_declaration"
        " var_declaration",
        through="type_declaration",
    ),
    "haskell": _shape(
        "function bind data_type newtype type_synonym type_family data_family pattern_synonym"
        " foreign_import",
        "class instance",
        "declarations imports header",
        "haddock signature pragma",
    ),
    "java": _shape(
        "method_declaration constructor_declaration compact_constructor_declaration"
        " annotation_type_element_declaration field_declaration constant_declaration",
        "class_declaration interface_declaration enum_declaration record_declaration"
        " annotation_type_declaration",
        "enum_body_declarations",
    ),
    "javascript": _SCRIPT,
    "kotlin": _shape(
        "function_declaration secondary_constructor type_alias property_declaration",
        "class_declaration object_declaration",
        "companion_object class_body",
    ),
    "lua": _shape(
        "function_declaration field assignment_statement",
        through="variable_declaration if_statement do_statement block",
    ),
    "php": _shape(
        "function_definition method_declaration const_declaration",
        "class_declaration interface_declaration trait_declaration enum_declaration",
        "namespace_definition compound_statement if_statement",
        "attribute_list",
    ),
    "python": _shape(
        "function_definition type_alias_statement assignment",
        "class_definition",
        "decorated_definition expression_statement block if_statement else_clause elif_clause"
        " try_statement except_clause finally_clause with_statement",
        "decorator",
    ),
    "ruby": _shape(
        "method singleton_method assignment call",
        "class module",
        "singleton_class body_statement if then else begin",
    ),
    "rust": _shape(
        "function_item function_signature_item struct_item enum_item union_item type_item"
        " macro_definition const_item static_item",
        "impl_item trait_item mod_item",
        "foreign_mod_item declaration_list",
        "attribute_item inner_attribute_item",
    ),
    "scala": _shape(
        "function_definition function_declaration type_definition given_definition val_definition",
        "class_definition object_definition trait_definition enum_definition",
        "package_clause extension_definition template_body",
        "annotation",
    ),
    "shell": _shape(
        "function_definition variable_assignment",
        through="if_statement else_clause elif_clause compound_statement declaration_command list",
    ),
    "sql": _shape(
        "create_table create_view create_materialized_view create_function create_procedure"
        " create_trigger create_index create_type create_schema create_sequence create_role"
        " create_database create_extension create_policy",
        through="statement transaction block",
        leading="marginalia",
    ),
    "swift": _shape(
        "function_declaration init_declaration deinit_declaration subscript_declaration"
        " protocol_function_declaration typealias_declaration macro_declaration",
        "class_declaration protocol_declaration",
    ),
    "tsx": _SCRIPT,
    "typescript": _SCRIPT,
    "zig": _shape("function_declaration test_declaration variable_declaration"),
}
"""By grammar."""
