# What a program run by Waybill may tell, and what it is given. For any POSIX shell, nothing to install.
#
#   . "$WAYBILL_HELPERS/waybill.sh"
#
#   waybill_step load ./load.sh records.csv          # runs a command as a step, and gives its exit code
#   waybill_counters read=100 written=98 failed=2
#   waybill_error id=17 code=negative message="The amount is below 0" data='{"id":17,"amount":-1}'
#   waybill_output rows 98
#
# Outside of Waybill nothing is told, so programs can be tried by hand. Several processes may tell at once.

# waybill_tell LINE: writes one line of the protocol, with one call to a file opened for appending.
waybill_tell() {
	[ -n "${WAYBILL_EVENTS-}" ] || return 0
	if [ "${#1}" -le 1000 ]; then # any shell writes so little at once; the newline belongs to it
		printf '%s' "$1
" >>"$WAYBILL_EVENTS"
		return
	fi
	(
		waybill_file=$(mktemp "${TMPDIR:-/tmp}/.waybill-XXXXXX") || exit
		trap 'rm -f "$waybill_file"' EXIT
		printf '%s\n' "$1" >"$waybill_file"
		waybill_size=$(wc -c <"$waybill_file")
		dd if="$waybill_file" bs="$((waybill_size))" count=1 2>/dev/null >>"$WAYBILL_EVENTS"
	)
}

# waybill_quote TEXT: writes a text as JSON does. Control characters but tabs and line ends are left out.
waybill_quote() {
	printf '"%s"' "$(
		printf '%s\n' "$1" | LC_ALL=C tr -d '\000-\010\013\014\016-\037' |
			LC_ALL=C awk '{
				gsub(/\\/, "&&"); gsub(/"/, "\\\""); gsub(/\t/, "\\t"); gsub(/\r/, "\\r")
				if (NR > 1) printf "%s", "\\n"
				printf "%s", $0
			}'
	)"
}

# waybill_member NAME TEXT: a member with a text, after a comma; nothing for no text.
waybill_member() {
	[ -z "$2" ] || printf ',"%s":%s' "$1" "$(waybill_quote "$2")"
}

# waybill_started NAME, waybill_finished NAME, waybill_failed NAME [CODE [MESSAGE]]: the course of a step.
waybill_started() { waybill_tell "{\"type\":\"step\",\"name\":$(waybill_quote "$1"),\"status\":\"started\"}"; }
waybill_finished() { waybill_tell "{\"type\":\"step\",\"name\":$(waybill_quote "$1"),\"status\":\"finished\"}"; }
waybill_failed() {
	waybill_tell "{\"type\":\"step\",\"name\":$(waybill_quote "$1"),\"status\":\"failed\"${2:+,\"returnCode\":$2}$(waybill_member message "${3-}")}"
}

# waybill_step NAME COMMAND [ARGUMENT...]: runs a command, or a function, as a step and gives its exit code.
waybill_step() {
	waybill_started "$1"
	if waybill_within "$@"; then
		waybill_finished "$1"
	else
		set -- "$1" "$?"
		waybill_failed "$1" "$2" "exit code $2"
		return "$2"
	fi
}

waybill_within() {
	shift
	"$@"
}

# waybill_progress DONE [TOTAL [STEP]]
waybill_progress() {
	waybill_tell "{\"type\":\"progress\",\"done\":$1${2:+,\"total\":$2}$(waybill_member step "${3-}")}"
}

# waybill_counters [read=N] [written=N] [failed=N] [ignored=N] [step=NAME]: the totals of a step so far.
waybill_counters() {
	waybill_line='{"type":"counters"'
	for waybill_one in "$@"; do
		case $waybill_one in
		step=*) waybill_line=$waybill_line$(waybill_member step "${waybill_one#*=}") ;;
		read=* | written=* | failed=* | ignored=*) waybill_line="$waybill_line,\"${waybill_one%%=*}\":${waybill_one#*=}" ;;
		*) echo "waybill_counters: $waybill_one is no counter" >&2 && return 2 ;;
		esac
	done
	waybill_tell "$waybill_line}"
}

# waybill_error [id=ID] [code=CODE] [message=TEXT] [trace=KEY] [step=NAME] [data=JSON]: a record that did not go through.
waybill_error() {
	waybill_line='{"type":"error"'
	for waybill_one in "$@"; do
		case $waybill_one in
		id=*) waybill_line=$waybill_line$(waybill_member recordId "${waybill_one#*=}") ;;
		trace=*) waybill_line=$waybill_line$(waybill_member traceKey "${waybill_one#*=}") ;;
		code=* | message=* | step=*) waybill_line=$waybill_line$(waybill_member "${waybill_one%%=*}" "${waybill_one#*=}") ;;
		data=*) waybill_line="$waybill_line,\"data\":${waybill_one#*=}" ;;
		*) echo "waybill_error: $waybill_one is not known" >&2 && return 2 ;;
		esac
	done
	waybill_tell "$waybill_line}"
}

# waybill_properties [KEY=VALUE...]: the member "properties" of a message.
waybill_properties() {
	[ "$#" -gt 0 ] || return 0
	waybill_sep=',"properties":{'
	for waybill_one in "$@"; do
		printf '%s%s:%s' "$waybill_sep" "$(waybill_quote "${waybill_one%%=*}")" "$(waybill_quote "${waybill_one#*=}")"
		waybill_sep=,
	done
	printf '}'
}

# waybill_message NAME BODY [KEY=VALUE...]: an out message. waybill_message_file takes its body from a file in the job's
# folders, which stays as it is.
waybill_message() {
	waybill_line="{\"type\":\"message\",\"name\":$(waybill_quote "$1"),\"body\":$(waybill_quote "$2")"
	shift 2
	waybill_tell "$waybill_line$(waybill_properties "$@")}"
}
waybill_message_file() {
	case $2 in
	/*) waybill_file=$2 ;;
	*) waybill_file=$(pwd)/$2 ;;
	esac
	waybill_line="{\"type\":\"message\",\"name\":$(waybill_quote "$1"),\"bodyFile\":$(waybill_quote "$waybill_file")"
	shift 2
	waybill_tell "$waybill_line$(waybill_properties "$@")}"
}

# waybill_output NAME TEXT, waybill_output_json NAME JSON: a named value that shows on the job.
waybill_output() { waybill_output_json "$1" "$(waybill_quote "$2")"; }
waybill_output_json() { waybill_tell "{\"type\":\"output\",\"name\":$(waybill_quote "$1"),\"value\":$2}"; }

# waybill_retrying: tells whether only the records that failed are to be done again.
waybill_retrying() { [ -n "${WAYBILL_RETRY_FILE-}" ]; }

# waybill_retry_records: the records to do again, one JSON object a line; none unless waybill_retrying.
waybill_retry_records() { ! waybill_retrying || cat "$WAYBILL_RETRY_FILE"; }

# waybill_in_message NAME: the body of a message the job was given; fails if there is none of that name.
waybill_in_message() { [ -n "${WAYBILL_IN_DIR-}" ] && [ -f "$WAYBILL_IN_DIR/$1" ] && cat "$WAYBILL_IN_DIR/$1"; }

# waybill_in_messages: the names of the messages the job was given, one a line.
waybill_in_messages() { [ -z "${WAYBILL_IN_DIR-}" ] || ls -A "$WAYBILL_IN_DIR"; }

# waybill_macro NAME [DEFAULT]: the value of a macro.
waybill_macro() {
	case $1 in
	'' | [0-9]* | *[!A-Za-z0-9_]*) return 2 ;;
	esac
	eval "printf '%s\n' \"\${$1-\${2-}}\""
}
