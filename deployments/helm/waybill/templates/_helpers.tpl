{{- define "waybill.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "waybill.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "waybill.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "waybill.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "waybill.selector" -}}
app.kubernetes.io/name: {{ include "waybill.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "waybill.labels" -}}
{{ include "waybill.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "waybill.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "waybill.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "waybill.secret" -}}
{{- if .Values.secrets.existingSecret -}}
{{- .Values.secrets.existingSecret -}}
{{- else if .Values.secrets.externalSecret.enabled -}}
{{- include "waybill.fullname" . -}}
{{- else -}}
{{- fail "secrets.existingSecret or secrets.externalSecret must be set: the chart makes no secrets, for it could not keep them" -}}
{{- end -}}
{{- end }}

{{/* Where the API is inside of the cluster. */}}
{{- define "waybill.serviceURL" -}}
{{- printf "http://%s.%s.svc:%v" (include "waybill.fullname" .) .Release.Namespace .Values.service.port -}}
{{- end }}

{{- define "waybill.baseURL" -}}
{{- if .Values.baseURL -}}
{{- .Values.baseURL -}}
{{- else if and .Values.ingress.enabled .Values.ingress.host -}}
{{- printf "%s://%s" (ternary "https" "http" (ne .Values.ingress.tlsSecret "")) .Values.ingress.host -}}
{{- else -}}
{{- include "waybill.serviceURL" . -}}
{{- end -}}
{{- end }}

{{- define "waybill.serverImage" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* A value as Waybill reads it. Helm takes numbers for floats, and would write a large one as 2.147483648e+09. */}}
{{- define "waybill.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end }}

{{/* The name of a setting's environment variable. */}}
{{- define "waybill.envName" -}}
WAYBILL_{{ . | upper | replace "-" "_" }}
{{- end }}

{{/* What every process is told: where the components are, and where its secrets are mounted. Takes {root, settings, env}. */}}
{{- define "waybill.env" -}}
- {name: WAYBILL_DATABASE_FILE, value: /run/secrets/waybill/database}
- {name: WAYBILL_MASTER_KEY_FILE, value: /run/secrets/waybill/master-key}
{{- if not .root.Values.s3.role }}
- {name: WAYBILL_S3_SECRET_KEY_FILE, value: /run/secrets/waybill/s3-secret-key}
- name: WAYBILL_S3_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ include "waybill.secret" .root }}, key: s3-access-key}}
{{- end }}
- {name: WAYBILL_S3_ENDPOINT, value: {{ required "s3.endpoint is required" .root.Values.s3.endpoint | quote }}}
- {name: WAYBILL_S3_BUCKET, value: {{ .root.Values.s3.bucket | quote }}}
- {name: WAYBILL_S3_REGION, value: {{ .root.Values.s3.region | quote }}}
- {name: WAYBILL_S3_TLS, value: {{ .root.Values.s3.tls | quote }}}
- {name: WAYBILL_TEMPORAL, value: {{ required "temporal.address is required" .root.Values.temporal.address | quote }}}
- {name: WAYBILL_TEMPORAL_NAMESPACE, value: {{ .root.Values.temporal.namespace | quote }}}
{{- if .root.Values.temporal.apiKey }}
- {name: WAYBILL_TEMPORAL_API_KEY_FILE, value: /run/secrets/waybill/temporal-api-key}
{{- end }}
- {name: WAYBILL_BASE_URL, value: {{ include "waybill.baseURL" .root | quote }}}
{{- range $name, $value := mergeOverwrite (dict) .root.Values.settings (.settings | default dict) }}
- {name: {{ include "waybill.envName" $name }}, value: {{ include "waybill.text" $value | quote }}}
{{- end }}
{{- with .env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The ports outside of name service and the API that workers need, as a list in JSON: those that are named, and those that settings for
all processes name. */}}
{{- define "waybill.workerPorts" -}}
{{- $ports := concat (.Values.networkPolicy.componentPorts | default list) (.Values.networkPolicy.extraPorts | default list) -}}
{{- if index .Values.settings "smtp-host" -}}
{{- $ports = append $ports (index .Values.settings "smtp-port" | default 587) -}}
{{- end -}}
{{- with index .Values.settings "otlp-endpoint" -}}
{{- $secure := or (hasPrefix "https:" .) (eq (index $.Values.settings "otlp-protocol" | default "") "grpc") -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default (ternary 443 80 $secure)) -}}
{{- end -}}
{{- $whole := list -}}
{{- range $ports }}{{ $whole = append $whole (int64 .) }}{{ end -}}
{{- toJson ($whole | uniq) -}}
{{- end }}

{{- define "waybill.mounts" -}}
- {name: secrets, mountPath: /run/secrets/waybill, readOnly: true}
- {name: data, mountPath: /var/lib/waybill}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{/* Takes {root, dataSizeLimit}. */}}
{{- define "waybill.volumes" -}}
- name: secrets
  secret: {secretName: {{ include "waybill.secret" .root }}, defaultMode: 0440}
- name: data
  emptyDir: {sizeLimit: {{ .dataSizeLimit }}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- end }}

{{/* Spreads pods of one component over nodes and zones. Takes {root, component}. */}}
{{- define "waybill.spread" -}}
{{- $labels := dict "app.kubernetes.io/name" (include "waybill.name" .root) "app.kubernetes.io/instance" .root.Release.Name "app.kubernetes.io/component" .component -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector: {matchLabels: {{ toJson $labels }}}
{{- end }}
{{- end }}
